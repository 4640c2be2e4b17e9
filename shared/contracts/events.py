"""Events: CloudEvents 1.0 in binary mode (attributes in `ce-*` headers, the data as the body)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from shared.contracts import subjects
from shared.contracts.clock import utc_now

TYPE_PREFIX: Final = "dibop."
EVENT_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "connector": (
        "draft_saved",
        "deleted",
        "test_progressed",
        "test_completed",
        "review_requested",
        "review_decided",
        "version_published",
        "version_deprecated",
        "unpublished",
        "retired",
    ),
    "enterprise": ("registered", "suspended", "resumed", "sdk_access_changed"),
    "connection": ("created", "rotated", "updated", "consented", "deleted", "health_changed"),
    "operation": ("executed",),
    "job": ("submitted", "succeeded", "failed", "parked"),
}
"""Every event that this product emits, by noun. Enterprises are `platform`'s matter: other services of the platform
tell of them, and the registry in the name of a Platform Admin."""
PUBLIC_EVENTS: Final = tuple(
    f"connector.*.{what}" for what in ("version_published", "version_deprecated", "unpublished")
)
"""What every enterprise may hear of the platform: what is new in the catalogue."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: `what` (past tense) to the `noun` called `identifier` of `enterprise`.

    `identifier` is one subject token. `source` is the service that tells it. `data` is JSON without secrets.
    """

    enterprise: str
    noun: str
    identifier: str
    what: str
    source: str
    data: Mapping[str, Any]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    time: str = field(default_factory=utc_now)

    @property
    def subject(self) -> str:
        return subjects.event(self.enterprise, self.noun, self.identifier, self.what)

    @property
    def stream(self) -> str:
        """What keeps it: executions, of which there are very many, have a stream of their own."""
        return subjects.CALLS_STREAM if self.noun == "operation" else subjects.EVENTS_STREAM

    @property
    def type(self) -> str:
        return f"{TYPE_PREFIX}{self.noun}.{self.what}"

    def headers(self) -> dict[str, str]:
        """`ce-*` attributes, the content type, and `Nats-Msg-Id`, by which the server drops a repeat."""
        return {
            "ce-specversion": "1.0",
            "ce-id": self.id,
            "ce-type": self.type,
            "ce-source": f"/dibop/{self.source}",
            "ce-subject": self.identifier,
            "ce-time": self.time,
            "ce-enterprise": self.enterprise,
            "content-type": "application/json",
            "Nats-Msg-Id": self.id,
        }

    def body(self) -> bytes:
        return msgspec.json.encode(dict(self.data))

    @classmethod
    def read(cls, subject: str, headers: Mapping[str, str] | None, body: bytes) -> Event:
        """Read an event off the bus; ValueError for what is not one."""
        parts = subject.split(".")
        if len(parts) != 6 or parts[:2] != ["evt", subjects.VERSION] or not headers or "ce-id" not in headers:
            raise ValueError(f"{subject!r} carries no CloudEvent")
        return cls(
            enterprise=parts[2],
            noun=parts[3],
            identifier=parts[4],
            what=parts[5],
            source=headers.get("ce-source", "").removeprefix("/dibop/"),
            data=msgspec.json.decode(body) if body else {},
            id=headers["ce-id"],
            time=headers.get("ce-time", ""),
        )


def narrowed(pattern: str, allowed: Iterable[str]) -> list[str]:
    """What `pattern` and each of `allowed` have in common, as patterns; what has nothing in common is left out.

    Both are ends of an event's subject. `allowed` ones have no `>`.
    """
    found = (_common(pattern.split("."), each.split(".")) for each in allowed)
    return [".".join(tokens) for tokens in found if tokens is not None]


def _common(pattern: list[str], allowed: list[str]) -> list[str] | None:
    if pattern[-1] == ">" and len(pattern) <= len(allowed):
        pattern = [*pattern[:-1], *["*"] * (len(allowed) - len(pattern) + 1)]
    if len(pattern) != len(allowed):
        return None
    tokens = [right if left == "*" else left for left, right in zip(pattern, allowed, strict=True)]
    fits = all(right in {"*", token} for token, right in zip(tokens, allowed, strict=True))
    return tokens if fits else None
