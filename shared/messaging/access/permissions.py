"""Who may publish and subscribe to what on the bus: one table, from which user JWTs and the docs page are made.

What is not listed is refused. No service has `>` and none has `allow_responses`: what it may answer to is listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from shared.contracts.events import PUBLIC_EVENTS
from shared.contracts.names import PLATFORM
from shared.contracts.subjects import (
    CALLS,
    CALLS_STREAM,
    CATALOGUE_BUCKET,
    CONNECTIONS_BUCKET,
    ENTERPRISE_EVENTS_PATTERN,
    ENTERPRISES_BUCKET,
    EVENTS_STREAM,
    EXECUTORS_QUEUE,
    HEALTH_BUCKET,
    REGISTRY_CONSUMER,
    RESPONSES_STREAM,
    ROUTED_REPLIES,
    SERVICE_INBOXES,
    TEMPLATES_BUCKET,
    event_consumer,
    events,
)
from shared.messaging.bootstrap import key_value_stream, object_stream, stream_configs

_API: Final = "$JS.API"


@dataclass(frozen=True, slots=True)
class Grant:
    """Subjects, and what they are needed for. `subject queue` allows a subscription in that queue group alone."""

    why: str
    subjects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UserRights:
    """One NATS user: who it is for, its inboxes' prefix, and all it may do."""

    name: str
    who: str
    inbox_prefix: str
    publish: tuple[Grant, ...]
    subscribe: tuple[Grant, ...] = field(default=())

    def publishes(self) -> list[str]:
        """Every subject it may publish, without repeats, sorted."""
        return _subjects(self.publish)

    def subscribes(self) -> list[str]:
        """Every subject it may subscribe to, its inboxes among them."""
        return _subjects((*self.subscribe, Grant("its own inboxes", (f"{self.inbox_prefix}.>",))))


def _subjects(grants: Iterable[Grant]) -> list[str]:
    return sorted({subject for grant in grants for subject in grant.subjects})


def _read(stream: str) -> tuple[str, ...]:
    """Single entries of a bucket."""
    return (
        f"{_API}.STREAM.INFO.{stream}",
        f"{_API}.DIRECT.GET.{stream}",
        f"{_API}.DIRECT.GET.{stream}.>",
        f"{_API}.STREAM.MSG.GET.{stream}",
    )


def _watch(stream: str) -> tuple[str, ...]:
    """A bucket's entries as they change; an object's parts are read in the same way."""
    return (
        *_read(stream),
        f"{_API}.CONSUMER.CREATE.{stream}",
        f"{_API}.CONSUMER.CREATE.{stream}.>",
        f"{_API}.CONSUMER.INFO.{stream}.*",
        f"{_API}.CONSUMER.DELETE.{stream}.*",
        f"$JS.FC.{stream}.>",
    )


def _watch_bucket(bucket: str) -> Grant:
    return Grant(f"follow the KV bucket `{bucket}`", _watch(key_value_stream(bucket)))


def _write_bucket(bucket: str) -> Grant:
    return Grant(f"write the KV bucket `{bucket}`", (f"$KV.{bucket}.>", *_read(key_value_stream(bucket))))


def _read_objects(bucket: str) -> Grant:
    return Grant(f"read the object store `{bucket}`", (*_watch(object_stream(bucket)), f"{_API}.STREAM.NAMES"))


def _write_objects(bucket: str) -> Grant:
    stream = object_stream(bucket)
    return Grant(f"write the object store `{bucket}`", (f"$O.{bucket}.>", f"{_API}.STREAM.PURGE.{stream}"))


def _events(*nouns: str) -> Grant:
    return Grant("tell its events", tuple(f"evt.v1.*.{noun}.>" for noun in nouns))


def _service(
    name: str, who: str, *, publish: Sequence[Grant], subscribe: Sequence[Grant], answers: bool = True
) -> UserRights:
    """A user of the services' own account. What answers requests also tells of itself by `$SRV` (NATS ADR-32)."""
    replies = [Grant("answer requests", ("_INBOX.>", f"{ROUTED_REPLIES}.>"))] if answers else []
    told = [Grant("say that it is ready", _micro(f"dibop-{name}"))] if answers else []
    return UserRights(name, who, f"{SERVICE_INBOXES}.{name}", (*replies, *publish), (*subscribe, *told))


def _micro(service: str) -> tuple[str, ...]:
    return tuple(
        f"$SRV.{verb}{name}" for verb in ("PING", "INFO", "STATS") for name in ("", f".{service}", f".{service}.*")
    )


def _stream_is_there(*streams: str) -> Grant:
    return Grant("wait until the streams exist", tuple(f"{_API}.STREAM.INFO.{stream}" for stream in streams))


def _own_consumer(consumer: str, stream: str = EVENTS_STREAM) -> tuple[str, ...]:
    """A durable consumer that is read, whoever made it."""
    return (
        f"{_API}.CONSUMER.INFO.{stream}.{consumer}",
        f"{_API}.CONSUMER.MSG.NEXT.{stream}.{consumer}",
        f"$JS.ACK.{stream}.{consumer}.>",
    )


_TELL_OF_ENTERPRISES: Final = Grant("tell of enterprises", (ENTERPRISE_EVENTS_PATTERN,))

REGISTRY: Final = _service(
    "registry",
    "the registry",
    publish=[
        _events("connector", "connection"),
        _TELL_OF_ENTERPRISES,
        _write_bucket(CATALOGUE_BUCKET),
        _write_bucket(CONNECTIONS_BUCKET),
        _write_bucket(ENTERPRISES_BUCKET),
        _watch_bucket(ENTERPRISES_BUCKET),
        _write_objects(TEMPLATES_BUCKET),
        _read_objects(TEMPLATES_BUCKET),
        _watch_bucket(HEALTH_BUCKET),
        Grant("hear what is told of enterprises", _own_consumer(REGISTRY_CONSUMER)),
        Grant(
            "make, list and delete the durable consumers of enterprises, and make its own",
            (
                f"{_API}.CONSUMER.DURABLE.CREATE.{EVENTS_STREAM}.*",
                f"{_API}.CONSUMER.LIST.{EVENTS_STREAM}",
                f"{_API}.CONSUMER.DELETE.{EVENTS_STREAM}.*",
            ),
        ),
        Grant(
            "take what executors tell into the call log",
            (f"{_API}.CONSUMER.DURABLE.CREATE.{CALLS_STREAM}.{CALLS}", *_own_consumer(CALLS, CALLS_STREAM)),
        ),
        _stream_is_there(EVENTS_STREAM, CALLS_STREAM),
    ],
    subscribe=[Grant("its commands", ("registry.v1.> registry",))],
)

PUBLISHER: Final = _service(
    "publisher",
    "the publisher",
    publish=[
        _events("connector"),
        Grant("test drafts on the executors", ("draft.v1.>", "executor.v1.*.draft.probe")),
        Grant("command the registry", ("registry.v1.>",)),
        _write_bucket(CATALOGUE_BUCKET),
        _watch_bucket(ENTERPRISES_BUCKET),
        _stream_is_there(EVENTS_STREAM),
    ],
    subscribe=[Grant("its commands", ("publisher.v1.> publisher",))],
)

EXECUTOR: Final = _service(
    "executor",
    "every executor",
    publish=[
        _events("operation", "job"),
        Grant("tell how connections are doing", ("evt.v1.*.connection.*.health_changed",)),
        Grant("parts of large replies", ("resp.v1.>",)),
        Grant(
            "have the registry keep tokens, newly sealed credentials and audit entries",
            (
                "registry.v1.*.connection.store-token",
                "registry.v1.*.connection.reseal",
                "registry.v1.*.connection.consent",
                "registry.v1.*.audit.append",
            ),
        ),
        Grant(
            "find the draft whose test a person authorizes, with that person's token", ("registry.v1.*.draft.stage",)
        ),
        Grant(
            "count the other executors, and ask for their sealing keys",
            ("$SRV.PING.dibop-executor", "$SRV.INFO.dibop-executor"),
        ),
        _watch_bucket(CATALOGUE_BUCKET),
        _watch_bucket(CONNECTIONS_BUCKET),
        _watch_bucket(ENTERPRISES_BUCKET),
        _watch_bucket(HEALTH_BUCKET),
        _write_bucket(HEALTH_BUCKET),
        _read_objects(TEMPLATES_BUCKET),
        _stream_is_there(EVENTS_STREAM, RESPONSES_STREAM, CALLS_STREAM),
    ],
    subscribe=[
        Grant(
            "requests and commands, in the queue group alone",
            tuple(f"{plane}.v1.> {EXECUTORS_QUEUE}" for plane in ("exec", "execas", "draft", "executor")),
        )
    ],
)

CONSOLE: Final = _service(
    "console",
    "the console, which speaks for people of every enterprise with their own tokens",
    answers=False,
    publish=[
        Grant("operations in the name of a person, whose token the executor verifies", ("execas.v1.>",)),
        Grant("commands in the name of a person", ("registry.v1.>", "publisher.v1.>", "executor.v1.>")),
        Grant("read large replies", (f"{_API}.DIRECT.GET.{RESPONSES_STREAM}.resp.v1.>",)),
        Grant("see which services run", ("$SRV.PING", "$SRV.PING.>", "$SRV.INFO.>", "$SRV.STATS.>")),
        Grant(
            "see how full streams and buckets are",
            tuple(f"{_API}.STREAM.INFO.{config.name}" for config in stream_configs()),
        ),
    ],
    subscribe=[Grant("events of every enterprise", ("evt.v1.>",))],
)

OPERATOR: Final = _service(
    "operator",
    "who runs the platform: `dibop up`, `migrate`, `doctor`, `status`, and backups",
    answers=False,
    publish=[
        Grant("make, change, look into and back up streams and buckets", (f"{_API}.>", "$JS.ACK.>", "$JS.FC.>")),
        Grant("see which services run", ("$SRV.PING.>", "$SRV.INFO.>", "$SRV.STATS.>")),
    ],
    subscribe=[Grant("events of every enterprise", ("evt.v1.>",))],
)

SERVICES: Final[Mapping[str, UserRights]] = {
    rights.name: rights for rights in (REGISTRY, PUBLISHER, EXECUTOR, CONSOLE, OPERATOR)
}
"""The users of this product's own processes, by name. They share one account."""


def platform_service(name: str, sources: Sequence[str] = ()) -> UserRights:
    """Another service of the platform: it tells of enterprises, and of what `sources` have seen.

    A source is one token, such as `crm`. It may not tell any of this product's own events.
    """
    publish = [_TELL_OF_ENTERPRISES]
    if sources:
        subjects = tuple(f"evt.v1.*.ext.{source}.>" for source in sources)
        publish.append(Grant("tell what happened in an enterprise, by the event's source", subjects))
    inbox = f"{SERVICE_INBOXES}.{name}"
    return UserRights(name, "another service of the platform", inbox, tuple(publish))


def enterprise_client(
    enterprise: str,
    user: str,
    *,
    operations: Sequence[str] = (),
    consumers: Sequence[str] = (),
    platform_admin: bool = False,
) -> UserRights:
    """A client of one enterprise.

    `operations` narrows what it may execute to connectors (`crm`) and single operations (`crm.get_lead`); none means
    all. `consumers` names the durable consumers of events that are its own. A Platform Admin's also speaks for
    `platform`.
    """
    granted = tuple(each if "." in each else f"{each}.>" for each in operations) or (">",)
    execute = tuple(f"{plane}.v1.{enterprise}.{each}" for plane in ("exec", "job") for each in granted)
    publish = [
        Grant("execute operations, at once or as durable jobs", execute),
        Grant("read its large replies", (f"{_API}.DIRECT.GET.{RESPONSES_STREAM}.resp.v1.{enterprise}.>",)),
        _commands(enterprise),
    ]
    subscribe = [
        Grant("events of its enterprise", (events(enterprise, ">"),)),
        Grant("what is new in the catalogue", tuple(events(PLATFORM, each) for each in PUBLIC_EVENTS)),
    ]
    if consumers:
        publish.append(Grant("read its own durable consumers of events", _own_consumers(enterprise, consumers)))
    if platform_admin:
        publish.append(_commands(PLATFORM))
        subscribe.append(Grant("events of the platform", (events(PLATFORM, ">"),)))
    who = f"a client of {enterprise}" + (", of a Platform Admin" if platform_admin else "")
    return UserRights(user, who, f"_INBOX.{enterprise}.{user}", tuple(publish), tuple(subscribe))


def _commands(enterprise: str) -> Grant:
    planes = ("registry", "publisher", "executor")
    return Grant(f"commands for `{enterprise}`", tuple(f"{plane}.v1.{enterprise}.>" for plane in planes))


def _own_consumers(enterprise: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(right for name in names for right in _own_consumer(event_consumer(enterprise, name)))
