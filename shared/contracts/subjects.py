"""Subjects, streams and buckets: every name on the bus, built and read in one place.

Requests are `<plane>.v1.<enterprise>.<a>.<b>`. The enterprise is always taken from the subject,
which the server's permissions guard, never from a body.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared.contracts.errors import DibopError
from shared.contracts.names import is_token

VERSION: Final = "v1"

EVENTS_STREAM: Final = "EVENTS"
RESPONSES_STREAM: Final = "RESPONSES"
CALLS_STREAM: Final = "CALLS"
CATALOGUE_BUCKET: Final = "catalogue"
CONNECTIONS_BUCKET: Final = "connections"
HEALTH_BUCKET: Final = "health"
ENTERPRISES_BUCKET: Final = "enterprises"
TEMPLATES_BUCKET: Final = "templates"

EXECUTORS_QUEUE: Final = "executors"
EXEC_PLANE: Final = "exec"
EXECAS_PLANE: Final = "execas"
DRAFT_PLANE: Final = "draft"
EXEC_PATTERN: Final = "exec.v1.*.*.*"
EXECAS_PATTERN: Final = "execas.v1.*.*.*"
DRAFT_PATTERN: Final = "draft.v1.*.*.*"
CONTROL_PATTERN: Final = "executor.v1.*.*.*"
ENTERPRISE_EVENTS_PATTERN: Final = "evt.v1.platform.enterprise.>"
"""What the platform's services tell of enterprises."""
REGISTRY_CONSUMER: Final = "registry"
"""The registry's own durable consumer of events."""
EVENTS_PATTERNS: Final = tuple(f"evt.v1.*.{noun}.>" for noun in ("connector", "connection", "enterprise", "job", "ext"))
"""What the stream EVENTS keeps; `ext` is what other services of the platform tell. Calls have a stream of their own."""
CALLS: Final = "calls"
"""The identifier in the events that tell of executed operations, and the registry's durable consumer of them."""
CALLS_PATTERN: Final = "evt.v1.*.operation.>"
RESPONSES_PATTERN: Final = "resp.v1.>"

SERVICE_INBOXES: Final = "_INBOX.svc"
"""What the inboxes of every service begin with; no enterprise may be called `svc`."""
ROUTED_REPLIES: Final = "_R_"
"""Where the server lets a request of another account be answered; it refuses this prefix to every client."""


@dataclass(frozen=True, slots=True)
class Address:
    """A request's subject: plane, enterprise and two names (connector and operation, or noun and verb)."""

    plane: str
    enterprise: str
    first: str
    second: str


def parse(subject: str) -> Address:
    """Read a request's subject, or refuse it."""
    parts = subject.split(".")
    if len(parts) != 5 or parts[1] != VERSION or not is_token(parts[2]):
        raise DibopError(
            "invalid-request",
            f"{subject[:200]!r} is not a request subject: it must be <plane>.v1.<enterprise>.<name>.<name>.",
        )
    return Address(parts[0], parts[2], parts[3], parts[4])


def enterprise_of(subject: str) -> str:
    """The third token, whatever stands there; empty where there is none. `parse` is for what is not trusted yet."""
    tokens = subject.split(".", 3)
    return tokens[2] if len(tokens) > 2 else ""


def execute(enterprise: str, connector: str, operation: str) -> str:
    return f"exec.v1.{enterprise}.{connector}.{operation}"


def execute_as(enterprise: str, connector: str, operation: str) -> str:
    """The same, for who speaks for people of many enterprises: the request carries the person's own token."""
    return f"execas.v1.{enterprise}.{connector}.{operation}"


def draft_execute(enterprise: str, connector: str, operation: str) -> str:
    return f"draft.v1.{enterprise}.{connector}.{operation}"


def registry(enterprise: str, noun: str, verb: str) -> str:
    return f"registry.v1.{enterprise}.{noun}.{verb}"


def publisher(enterprise: str, noun: str, verb: str) -> str:
    return f"publisher.v1.{enterprise}.{noun}.{verb}"


def executor(enterprise: str, noun: str, verb: str) -> str:
    """Commands to the executors themselves, beside the operations that they execute."""
    return f"executor.v1.{enterprise}.{noun}.{verb}"


def event(enterprise: str, noun: str, identifier: str, what: str) -> str:
    return f"evt.v1.{enterprise}.{noun}.{identifier}.{what}"


def events(enterprise: str, pattern: str) -> str:
    """`pattern` is `<noun>.<identifier>.<what>`, where `*` stands for any token and a final `>` for any rest."""
    return f"evt.v1.{enterprise}.{pattern}"


def event_consumer(enterprise: str, name: str) -> str:
    """The name, in the stream EVENTS, of an enterprise's durable consumer. No token holds a colon, so none clash."""
    return f"{enterprise}:{name}"


def response_part(enterprise: str, identifier: str, number: int) -> str:
    return f"resp.v1.{enterprise}.{identifier}.{number}"


def catalogue_key(owner: str, slug: str) -> str:
    return f"{owner}.{slug}"


def connection_key(enterprise: str, slug: str, name: str) -> str:
    return f"{enterprise}.{slug}.{name}"


def health_key(enterprise: str, connection: str) -> str:
    """`connection` is the connection's id."""
    return f"{enterprise}.{connection}"
