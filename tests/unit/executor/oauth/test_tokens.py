"""Tokens of one worker: at hand, on the way, and refused; with fakes for Redis and the endpoint."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from time import monotonic

import msgspec
import pytest

from services.executor.domain.oauth import AccessToken, TokenClient
from services.executor.domain.scope import Scope
from services.executor.oauth.answers import Granted, RefusedError
from services.executor.oauth.counters import OAuthCounters
from services.executor.oauth.shared import Found, Lock, Refusal, Wait
from services.executor.oauth.tokens import Tokens
from services.executor.resilience.types import StateUnavailableError
from shared.contracts.errors import DibopError
from shared.contracts.projections import StoredToken
from tests.support.polling import eventually
from tests.unit.executor.oauth.clients import client


@dataclass
class Shared:
    """Redis: says what `found` holds, in its order, and then gives the lock."""

    found: list[Found] = field(default_factory=list)
    left: list[AccessToken | Refusal | None] = field(default_factory=list)
    away: bool = False
    late: bool = False
    asked_for: list[str] = field(default_factory=list)

    async def take(self, _client: TokenClient, *, stale: str, holder: str, **_: object) -> Found:
        if self.away:
            raise StateUnavailableError("It is away.")
        self.asked_for.append(stale)
        return self.found.pop(0) if self.found else Lock(holder, "1")

    async def keep_lock(self, *_: object) -> bool:
        return True

    async def leave_token(self, _client: TokenClient, _lock: Lock, token: AccessToken, _now: float) -> bool:
        return self._leave(token)

    async def leave_refusal(self, _client: TokenClient, _lock: Lock, refusal: Refusal, **_: object) -> bool:
        return self._leave(refusal)

    async def leave(self, *_: object) -> bool:
        return self._leave(None)

    async def put_token(self, _client: TokenClient, token: AccessToken, _now: float) -> None:
        self._leave(token)

    async def close(self) -> None: ...

    def _leave(self, what: AccessToken | Refusal | None) -> bool:
        if self.away:
            raise StateUnavailableError("It is away.")
        self.left.append(what)
        return not self.late


@dataclass
class Endpoint:
    """Grants tokens `t1`, `t2`, …, once it may; or fails with `error`."""

    lifetime: float = 3600.0
    error: Exception | None = None
    asked: int = 0
    alone: list[bool] = field(default_factory=list)
    may: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may.set()

    async def grant(self, _client: TokenClient, *, deadline: float, alone: bool) -> tuple[Granted, int]:
        self.asked += 1
        self.alone.append(alone)
        await self.may.wait()
        if self.error is not None:
            raise self.error
        return Granted(f"t{self.asked}", self.lifetime), _client.generation


@dataclass
class Watcher:
    said: list[str] = field(default_factory=list)

    def refused(self, _scope: Scope, _credentials: int, cause: str) -> None:
        self.said.append(cause)

    def granted(self, _scope: Scope, _credentials: int) -> None:
        self.said.append("granted")


@dataclass
class World:
    shared: Shared = field(default_factory=Shared)
    endpoint: Endpoint = field(default_factory=Endpoint)
    watcher: Watcher = field(default_factory=Watcher)
    size: int = 4096

    def __post_init__(self) -> None:
        self.tokens = Tokens(
            self.shared,  # type: ignore[arg-type]  # a stand-in
            self.endpoint,
            self.watcher,
            OAuthCounters(),
            size=self.size,
        )

    async def obtain(self, asked: TokenClient | None = None, seconds: float = 5.0) -> AccessToken:
        return await self.tokens.obtain(asked or client(), monotonic() + seconds)


def adopted(identifier: str, seconds: float = 60.0, generation: int = 0) -> AccessToken:
    now = monotonic()
    return AccessToken(identifier, identifier, generation, now, now + seconds * 0.9, now + seconds)


async def test_all_who_want_a_token_wait_for_one_flight() -> None:
    world = World()
    world.endpoint.may.clear()
    waiting = [asyncio.ensure_future(world.obtain()) for _ in range(20)]
    await eventually(lambda: world.endpoint.asked)
    world.endpoint.may.set()

    assert {token.value for token in await asyncio.gather(*waiting)} == {"t1"}
    assert world.endpoint.asked == 1
    assert (await world.obtain()).value == "t1"
    assert len(world.shared.asked_for) == 1, "a token at hand asks Redis nothing"


async def test_one_callers_deadline_does_not_end_the_flight() -> None:
    world = World()
    world.endpoint.may.clear()
    patient = asyncio.ensure_future(world.obtain())
    with pytest.raises(DibopError) as caught:
        await world.obtain(seconds=0.05)
    world.endpoint.may.set()

    assert caught.value.code == "deadline-exceeded"
    assert (await patient).value == "t1"


async def test_what_another_worker_has_left_is_taken() -> None:
    world = World(Shared(found=[Wait(1), Wait(1), adopted("theirs")]))
    assert (await world.obtain()).value == "theirs"
    assert world.endpoint.asked == 0


async def test_without_redis_a_worker_asks_by_itself() -> None:
    world = World(Shared(away=True))
    tokens = await asyncio.gather(*(world.obtain() for _ in range(5)))
    assert {token.value for token in tokens} == {"t1"}
    assert world.endpoint.alone == [True]


async def test_a_token_is_renewed_early_while_the_old_one_serves() -> None:
    world = World(endpoint=Endpoint(lifetime=1.0))
    first = await world.obtain()
    world.endpoint.may.clear()
    await eventually(lambda: monotonic() >= first.renew_at)

    served = world.tokens.ready(client())
    await eventually(lambda: world.endpoint.asked == 2)
    assert served is first
    assert world.tokens.ready(client()) is first, "one renewal is under way"
    world.endpoint.may.set()

    assert await eventually(lambda: world.tokens.ready(client()) is not first)
    assert world.tokens.counters.early == 1


async def test_an_early_renewal_waits_for_nobody() -> None:
    world = World(endpoint=Endpoint(lifetime=1.0))
    first = await world.obtain()
    world.shared.found = [Wait(5_000)]
    await eventually(lambda: monotonic() >= first.renew_at)
    world.tokens.ready(client())
    await eventually(lambda: len(world.shared.asked_for) == 2)
    assert world.endpoint.asked == 1


async def test_a_renewal_takes_what_another_worker_has_renewed_meanwhile() -> None:
    world = World()
    used = await world.obtain()
    world.shared.found = [adopted("theirs")]
    assert (await world.tokens.renew(client(), used, monotonic() + 5)).value == "theirs"
    assert world.shared.asked_for[-1] == used.id
    assert (await world.tokens.renew(client(), used, monotonic() + 5)).value == "theirs"
    assert (world.endpoint.asked, len(world.shared.asked_for)) == (1, 2)


async def test_a_refusal_is_remembered_and_told_anew_to_each() -> None:
    world = World(endpoint=Endpoint(error=RefusedError("invalid_client", "Who?")))
    errors = []
    for _ in range(3):
        with pytest.raises(DibopError, match=r"invalid_client: Who\?") as caught:
            await world.obtain()
        errors.append(caught.value)
    assert len({id(error) for error in errors}) == 3
    assert world.endpoint.asked == 1
    assert world.shared.left == [Refusal("invalid_client", "Who?")]
    assert world.watcher.said == ["token endpoint: invalid_client"]


async def test_a_refusal_is_of_these_credentials_and_this_authorization_alone() -> None:
    world = World(endpoint=Endpoint(error=RefusedError("invalid_grant")))
    asked = client(grant="authorization_code")
    with pytest.raises(DibopError):
        await world.obtain(asked)
    world.endpoint.error = None

    rotated = msgspec.structs.replace(asked, credentials=1)
    authorized = msgspec.structs.replace(asked, stored=StoredToken(1, "k", "x"))
    assert (await world.obtain(rotated)).value == "t2"
    assert (await world.obtain(authorized)).value == "t3"


async def test_a_token_of_an_older_authorization_is_used_no_more() -> None:
    world = World()
    asked = client(grant="authorization_code")
    assert (await world.obtain(asked)).value == "t1"
    assert (await world.obtain(msgspec.structs.replace(asked, stored=StoredToken(1, "k", "x")))).value == "t2"


async def test_a_token_that_was_turned_down_goes_where_no_other_is_to_be_had() -> None:
    world = World()
    used = await world.obtain()
    world.endpoint.error = RefusedError("invalid_client")
    with pytest.raises(DibopError):
        await world.tokens.renew(client(), used, monotonic() + 5)
    assert world.tokens.ready(client()) is None


async def test_a_failure_is_told_to_all_and_tried_again_by_the_next() -> None:
    error = DibopError("upstream-unreachable", "Not there.", outcome="not_sent", retry_after_ms=7)
    world = World(endpoint=Endpoint(error=error))
    failed = await asyncio.gather(*(world.obtain() for _ in range(3)), return_exceptions=True)
    assert [(each.code, each.retry_after_ms) for each in failed if isinstance(each, DibopError)] == [
        ("upstream-unreachable", 7)
    ] * 3
    assert world.shared.left == [None], "the lock is given back"
    world.endpoint.error = None
    assert (await world.obtain()).value == "t2"


async def test_a_failed_early_renewal_leaves_the_old_token_and_rests() -> None:
    world = World(endpoint=Endpoint(lifetime=2.0))
    first = await world.obtain()
    world.endpoint.error = RefusedError("invalid_client")
    await eventually(lambda: monotonic() >= first.renew_at)
    for _ in range(5):
        assert world.tokens.ready(client()) is first
        await asyncio.sleep(0)
    await eventually(lambda: world.watcher.said[-1] == "token endpoint: invalid_client")
    assert world.endpoint.asked == 2


async def test_a_late_token_is_used_by_its_worker_alone() -> None:
    world = World(Shared(late=True))
    assert (await world.obtain()).value == "t1"
    assert world.tokens.counters.late == 1


async def test_few_tokens_are_kept() -> None:
    world = World(size=2)
    asked = [client({"client_id": f"c{number}", "client_secret": "s"}) for number in range(3)]
    for each in asked:
        await world.obtain(each)
    assert [world.tokens.ready(each) is not None for each in asked] == [False, True, True]


async def test_an_authorization_hands_its_token_out_to_all() -> None:
    world = World()
    asked = client(grant="authorization_code")
    await world.tokens.hand_out(asked, Granted("given", 60.0), 1, monotonic())
    assert (await world.obtain(msgspec.structs.replace(asked, stored=StoredToken(1, "k", "x")))).value == "given"
    assert [each.value for each in world.shared.left if isinstance(each, AccessToken)] == ["given"]
    assert world.watcher.said == ["granted"]


async def test_stopping_lets_a_flight_come_to_its_end() -> None:
    world = World()
    world.endpoint.may.clear()
    waiting = asyncio.ensure_future(world.obtain())
    await eventually(lambda: world.endpoint.asked)
    stopping = asyncio.ensure_future(world.tokens.stop(5))
    world.endpoint.may.set()
    await stopping
    assert (await waiting).value == "t1"
