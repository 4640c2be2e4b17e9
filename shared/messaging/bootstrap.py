"""Streams and buckets: made and updated by one idempotent step, never declared on the side.

Buckets are streams to NATS (`KV_<bucket>`, `OBJ_<bucket>`), so one table describes everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Literal

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError

from shared.contracts.subjects import (
    CALLS_PATTERN,
    CALLS_STREAM,
    CATALOGUE_BUCKET,
    CONNECTIONS_BUCKET,
    ENTERPRISES_BUCKET,
    EVENTS_PATTERNS,
    EVENTS_STREAM,
    HEALTH_BUCKET,
    RESPONSES_PATTERN,
    RESPONSES_STREAM,
    TEMPLATES_BUCKET,
)

_MINUTE: Final = 60.0
_DAY: Final = 86_400.0
_MIB: Final = 1024**2
_POLL_SECONDS: Final = 0.25

_log = structlog.get_logger(__name__)


class BootstrapError(Exception):
    """A stream exists with settings that cannot be changed, or the server refuses it."""


@dataclass(frozen=True, slots=True)
class Change:
    """What `bootstrap` did: `settings` maps each changed setting to (before, after)."""

    stream: str
    done: Literal["created", "updated"]
    settings: Mapping[str, tuple[Any, Any]]

    def __str__(self) -> str:
        changed = ", ".join(f"{name}: {before} to {after}" for name, (before, after) in self.settings.items())
        return f"{self.done} {self.stream}" + (f" ({changed})" if self.done == "updated" else "")


def key_value_stream(bucket: str) -> str:
    """The stream behind a KV bucket."""
    return f"KV_{bucket}"


def object_stream(bucket: str) -> str:
    """The stream behind an object store."""
    return f"OBJ_{bucket}"


def stream_configs(replicas: int = 1) -> list[StreamConfig]:
    """Every stream and bucket of the bus. Sizes in bytes, ages in seconds."""
    return [
        StreamConfig(
            name=EVENTS_STREAM,
            description="Events of all services, as CloudEvents",
            subjects=list(EVENTS_PATTERNS),
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD,
            max_age=7 * _DAY,
            max_msgs=5_000_000,
            max_bytes=1024 * _MIB,
            duplicate_window=2 * _MINUTE,
            num_replicas=replicas,
            allow_direct=True,
        ),
        StreamConfig(
            name=CALLS_STREAM,
            description="Executed operations, until the registry has them in the call log",
            subjects=[CALLS_PATTERN],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD,
            max_age=_DAY,
            max_msgs=-1,
            max_bytes=1024 * _MIB,
            duplicate_window=2 * _MINUTE,
            num_replicas=replicas,
            allow_direct=True,
        ),
        StreamConfig(
            name=RESPONSES_STREAM,
            description="Parts of large replies, read once, soon after",
            subjects=[RESPONSES_PATTERN],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD,
            max_age=10 * _MINUTE,
            max_msgs=-1,
            max_bytes=512 * _MIB,
            duplicate_window=2 * _MINUTE,
            num_replicas=replicas,
            allow_direct=True,
        ),
        _key_value(CATALOGUE_BUCKET, "Published connectors: versions and digests", replicas),
        _key_value(CONNECTIONS_BUCKET, "Connections with their sealed credentials", replicas),
        _key_value(ENTERPRISES_BUCKET, "Enterprises, and how each stands with the platform", replicas),
        _key_value(HEALTH_BUCKET, "Health of connections, as executors find them", replicas),
        _objects(TEMPLATES_BUCKET, "Template documents by digest", replicas),
    ]


async def bootstrap(js: JetStreamContext, replicas: int = 1) -> list[Change]:
    """Make what is missing, update what differs, leave the rest; nothing to do is an empty list.

    Raises BootstrapError, which names the stream and the setting, when the server refuses a change.
    """
    changes = []
    for wanted in stream_configs(replicas):
        change = await _ensure(js, wanted)
        if change is not None:
            _log.info("Stream made or changed", stream=change.stream, change=str(change))
            changes.append(change)
    return changes


async def verify(js: JetStreamContext, replicas: int | None = None) -> list[str]:
    """What is missing or differs, a sentence each; `replicas` is compared when given."""
    problems = []
    for wanted in stream_configs(replicas or 1):
        found = await _find(js, wanted)
        if found is None:
            problems.append(f"The stream {wanted.name} does not exist. Run 'dibop migrate'.")
            continue
        ignored = () if replicas else ("num_replicas",)
        for name, (is_now, should_be) in _differences(found, wanted).items():
            if name not in ignored:
                problems.append(
                    f"The stream {wanted.name} has {name} {is_now}, and should have {should_be}. Run 'dibop migrate'."
                )
    return problems


async def wait_for_bus(nc: Client, streams: Sequence[str] | None = None) -> None:
    """Wait until the streams (all of ours, unless named) exist, saying in the log which one is missing."""
    js = nc.jetstream()
    for name in streams or [str(config.name) for config in stream_configs()]:
        told = False
        while True:
            try:
                await js.stream_info(name)
                break
            except (NatsError, TimeoutError) as error:
                if not told:
                    reason = "it does not exist" if isinstance(error, NotFoundError) else str(error)
                    _log.warning("Waiting for a stream; 'dibop migrate' makes it", stream=name, reason=reason)
                    told = True
                await asyncio.sleep(_POLL_SECONDS)


async def _ensure(js: JetStreamContext, wanted: StreamConfig) -> Change | None:
    name = str(wanted.name)
    found = await _find(js, wanted)
    try:
        if found is None:
            await js.add_stream(wanted)
            return Change(name, "created", {})
        differences = _differences(found, wanted)
        if not differences:
            return None
        await js.update_stream(found.evolve(**{setting: after for setting, (_, after) in differences.items()}))
    except APIError as error:
        raise BootstrapError(
            f"The server refused the stream {name}: {error.description}. What differs: "
            f"{_listed(_differences(found, wanted)) if found else 'all, it does not exist'}. Storage and retention "
            "of a stream cannot be changed: back it up, delete it, and run 'dibop migrate' again; "
            "for lack of space, give JetStream more."
        ) from error
    return Change(name, "updated", differences)


async def _find(js: JetStreamContext, wanted: StreamConfig) -> StreamConfig | None:
    try:
        return (await js.stream_info(str(wanted.name))).config
    except NotFoundError:
        return None


def _differences(found: StreamConfig, wanted: StreamConfig) -> dict[str, tuple[Any, Any]]:
    """Settings that we name and the server has otherwise; what we leave open is the server's to choose."""
    return {
        name: (getattr(found, name), value.value if isinstance(value, Enum) else value)
        for name, value in vars(wanted).items()
        if value is not None and getattr(found, name) != value
    }


def _listed(differences: Mapping[str, tuple[Any, Any]]) -> str:
    return ", ".join(f"{name} is {before}, should be {after}" for name, (before, after) in differences.items())


def _key_value(bucket: str, description: str, replicas: int) -> StreamConfig:
    """A KV bucket (NATS ADR-8) that keeps each key's last value."""
    return StreamConfig(
        name=key_value_stream(bucket),
        description=description,
        subjects=[f"$KV.{bucket}.>"],
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        max_msgs_per_subject=1,
        max_msg_size=1 * _MIB,
        max_bytes=256 * _MIB,
        duplicate_window=2 * _MINUTE,
        num_replicas=replicas,
        allow_direct=True,
        allow_rollup_hdrs=True,
        deny_delete=True,
    )


def _objects(bucket: str, description: str, replicas: int) -> StreamConfig:
    """An object store (NATS ADR-20)."""
    return StreamConfig(
        name=object_stream(bucket),
        description=description,
        subjects=[f"$O.{bucket}.C.>", f"$O.{bucket}.M.>"],
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        max_bytes=1024 * _MIB,
        duplicate_window=2 * _MINUTE,
        num_replicas=replicas,
        allow_direct=True,
        allow_rollup_hdrs=True,
    )
