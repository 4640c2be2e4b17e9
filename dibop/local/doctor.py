"""`dibop doctor`: one check after the other, each with what was found and how to mend it."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from dibop import __version__
from dibop.admin import token_claims
from dibop.bus import Bus
from dibop.client import Client
from dibop.context import Context
from dibop.errors import DibopError, NotAllowedError
from dibop.local.home import Home, StackState
from dibop.local.nats_users import operator_context
from dibop.projections import PARTS, Projections
from dibop.sealing import load_sealing_key
from shared.contracts.subjects import EVENTS_STREAM
from shared.messaging.access.tokens import claims_of, token_in

_MINIMUM_REDIS: Final = (6, 2)
_MINIMUM_DISK_BYTES: Final = 1024**3
_MAX_SKEW_SECONDS: Final = 5.0
_PING_WINDOW_SECONDS: Final = 0.5
_CONNECT_SECONDS: Final = 3.0
_SERVICES: Final = ("registry", "publisher", "executor")
_SHOWN: Final = 3
_START: Final = "Start the stack with 'dibop up'."


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, whether it is well, what was found, and what to do where it is not."""

    name: str
    ok: bool
    detail: str
    mend: str | None = None

    def __post_init__(self) -> None:
        if self.ok:
            object.__setattr__(self, "mend", None)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


async def examine(home: str | None) -> list[Check]:
    """Every check that can be made; the first failed one that others need ends the list early."""
    where = Home.of(home)
    checks = [_disk(where)]
    try:
        context = Context.load(home)
    except DibopError as error:
        return [*checks, Check("context", False, error.detail, error.kind.next_step)]
    checks.append(Check("context", True, f"{where.context_file}: enterprise {context.enterprise}"))
    checks += [_token(context), _sealing_key(context), _nats_user(context)]
    reached = await _reached(context)
    checks.append(reached)
    if reached.ok:
        checks += [check async for check in _services(where)]
        checks.append(await _projections(context))
    return [*checks, await _redis(where)]


def _disk(home: Home) -> Check:
    path = next(parent for parent in (home.root, *home.root.parents) if parent.exists())
    free = shutil.disk_usage(path).free
    found = f"{free / 1024**3:.1f} GiB free below {path}"
    return Check("disk space", free >= _MINIMUM_DISK_BYTES, found, "Free at least 1 GiB, or choose another --home.")


def _token(context: Context) -> Check:
    try:
        claims = token_claims(context.token() or "")
    except DibopError as error:
        return Check("token", False, error.detail, "'dibop up' writes it anew.")
    left = claims.get("exp", 0) - time.time()
    if not claims:
        return Check("token", False, f"{context.token_file} holds no token", "'dibop up' writes it anew.")
    lasts = f"{left / 86_400:.0f} days left" if left > 0 else "expired"
    found = f"{claims.get('sub')} of {claims.get('enterprise')}, {lasts}"
    return Check("token", left > 0, found, "'dibop up' signs it anew when it is started again.")


def _sealing_key(context: Context) -> Check:
    try:
        key = load_sealing_key(context.seal_key_file)
    except DibopError as error:
        return Check("sealing key", False, error.detail, "'dibop up' writes it anew.")
    return Check("sealing key", True, key.kid)


def _nats_user(context: Context) -> Check:
    """The credentials file: there, its owner's alone, still valid, and for the inboxes that the context names."""
    if context.nats_creds is None:
        return Check("nats user", True, "none: the server lets everybody in")
    mend = "'dibop up' makes it anew; elsewhere an operator does, with 'dibop nats user'."
    try:
        claims = claims_of(token_in(context.nats_creds.read_text()))
        mode = context.nats_creds.stat().st_mode
    except (OSError, ValueError) as error:
        return Check("nats user", False, f"{context.nats_creds} cannot be used: {error}", mend)
    listens = claims.get("nats", {}).get("sub", {}).get("allow", [])
    left = claims.get("exp", math.inf) - time.time()
    if left < 0:
        return Check("nats user", False, f"{context.nats_creds} has expired", mend)
    if f"{context.nats_inbox_prefix}.>" not in listens:
        return Check(
            "nats user", False, f"{context.nats_creds} may not use the inboxes {context.nats_inbox_prefix}", mend
        )
    if mode & 0o077:
        return Check("nats user", False, "others can read its file", f"Run 'chmod 600 {context.nats_creds}'.")
    lasts = "" if left == math.inf else f", {left / 86_400:.0f} days left"
    return Check("nats user", True, f"{claims.get('name')}, inboxes {context.nats_inbox_prefix}{lasts}")


async def _reached(context: Context) -> Check:
    bus = Bus(context, name="dibop-doctor")
    try:
        await bus.open(_CONNECT_SECONDS)
    except DibopError as error:
        return Check("nats", False, error.detail, _START)
    try:
        return Check("nats", True, f"{context.nats_url}, round trip {1000 * await bus.round_trip():.1f} ms")
    finally:
        await bus.close()


async def _services(home: Home) -> AsyncIterator[Check]:
    """What an operator's user may see."""
    context = operator_context(home)
    if context.nats_creds == Context.load(home.root).nats_creds is not None:
        yield Check("services", False, "no operator's NATS user to look with", "Set DIBOP_NATS_CREDS to its file.")
        return
    bus = Bus(context, name="dibop-doctor")
    try:
        await bus.open(_CONNECT_SECONDS)
    except DibopError as error:
        yield Check("services", False, error.detail, "Correct DIBOP_NATS_CREDS; 'dibop up' makes the local one anew.")
        return
    try:
        yield await _streams(bus)
        for name in _SERVICES:
            yield await _service(bus, name)
        yield await _clock(bus)
    finally:
        await bus.close()


async def _streams(bus: Bus) -> Check:
    from shared.messaging.bootstrap import verify

    try:
        problems = await verify(bus.jetstream())
    except Exception as error:  # noqa: BLE001  # whatever it is, it is what the doctor has to tell
        problems = [f"JetStream does not answer: {str(error) or type(error).__name__}"]
    return Check(
        "streams and buckets", not problems, "; ".join(problems) or "as they should be", "Run 'dibop migrate'."
    )


async def _service(bus: Bus, name: str) -> Check:
    answers = await bus.ping_services(f"dibop-{name}", window=_PING_WINDOW_SECONDS)
    if not answers:
        return Check(
            name, False, "does not answer", f"Look into its log, '{name}.log' of the home's folder 'logs'. {_START}"
        )
    versions = sorted({str(answer.get("version")) for answer in answers})
    same = versions == [__version__]
    found = f"{len(answers)} answering, version {', '.join(versions)}"
    return Check(name, same, found, f"This command is {__version__}: run services and command of one version.")


async def _projections(context: Context) -> Check:
    """What executors read, compared with the registry's database: a Platform Admin's to see."""
    name, mend = "projections", "Run 'dibop rebuild-projections'."
    looked_at, differing = 0, list[str]()
    try:
        async with Client(context) as client:
            for part in PARTS:
                async for page in Projections(client).check(part):
                    looked_at += page.looked_at
                    differing += [f"{part} {each.key} is {each.drift}" for each in page.differences]
    except NotAllowedError:
        return Check(name, True, "not looked at: that takes a Platform Admin's token")
    except DibopError as error:
        return Check(name, False, error.detail, error.kind.next_step)
    if not differing:
        return Check(name, True, f"{looked_at} entries as the database says")
    more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
    return Check(name, False, f"{'; '.join(differing[:_SHOWN])}{more}", mend)


async def _clock(bus: Bus) -> Check:
    """JetStream stamps its answers (`ts`, since server 2.10)."""
    try:
        answer = await bus.request(f"$JS.API.STREAM.INFO.{EVENTS_STREAM}", b"", timeout=_CONNECT_SECONDS)
        stamp = datetime.fromisoformat(json.loads(answer.data)["ts"])
    except (DibopError, ValueError, KeyError):
        return Check("clock", False, "the NATS server does not tell its time", _START)
    skew = abs(stamp.timestamp() - time.time())
    return Check("clock", skew < _MAX_SKEW_SECONDS, f"{skew:.1f} s from the NATS server's", "Set both clocks by NTP.")


async def _redis(home: Home) -> Check:
    import redis.asyncio as redis
    from redis.exceptions import RedisError

    url = os.environ.get("DIBOP_REDIS_URL") or _local_redis(home)
    if url is None:
        return Check("redis", False, "its address is not known", f"{_START} Or set DIBOP_REDIS_URL.")
    client = redis.Redis.from_url(url, socket_connect_timeout=_CONNECT_SECONDS, socket_timeout=_CONNECT_SECONDS)
    try:
        version = str((await client.info("server"))["redis_version"])
    except (TimeoutError, RedisError, OSError) as error:
        return Check("redis", False, f"{_place(url)} does not answer: {error}", _START)
    finally:
        await client.aclose()
    numbers = tuple(int(part) for part in version.split(".")[:2])
    return Check("redis", numbers >= _MINIMUM_REDIS, f"{_place(url)}, version {version}", "Use Redis 6.2 or newer.")


def _local_redis(home: Home) -> str | None:
    state = StackState.read(home)
    return next((part.address for part in state.parts if part.name == "redis"), None) if state else None


def _place(url: str) -> str:
    """The address without user and password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
