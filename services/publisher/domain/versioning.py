"""Version numbers: which kind of change asks for which bump, and what the next version is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, Final

from shared.contracts.commands import BumpName, Connector, VersionSummary
from shared.contracts.errors import DibopError

_SHOWN: Final = 10
FIRST_VERSION: Final = "1.0.0"
_VERSION: Final = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})\Z", re.ASCII)


class Bump(IntEnum):
    """How far a change moves the version; the largest of several counts."""

    PATCH = 1
    MINOR = 2
    MAJOR = 3

    @classmethod
    def named(cls, name: BumpName) -> Bump:
        return cls[name.upper()]

    @property
    def word(self) -> BumpName:
        """`major`, `minor` or `patch`."""
        return _WORDS[self]


_WORDS: Final[Mapping[Bump, BumpName]] = {Bump.PATCH: "patch", Bump.MINOR: "minor", Bump.MAJOR: "major"}


class ChangeKind(StrEnum):
    """What can change between two versions of a connector."""

    OPERATION_REMOVED = "operation removed"
    PARAMETER_REMOVED = "parameter removed"
    PARAMETER_RETYPED = "parameter retyped"
    PARAMETER_MOVED = "parameter moved"
    PARAMETER_MADE_REQUIRED = "parameter made required"
    REQUIRED_PARAMETER_ADDED = "required parameter without default added"
    DEFAULT_CHANGED = "default changed"
    ENUM_VALUE_REMOVED = "enum value removed"
    RESPONSE_PROPERTY_REMOVED = "response property removed"
    RESPONSE_PROPERTY_RETYPED = "response property retyped"
    RESPONSE_PROPERTY_MADE_OPTIONAL = "response property made optional"
    CREDENTIAL_SENT_OTHERWISE = "credential sent otherwise or elsewhere"
    REQUIRED_CREDENTIAL_ADDED = "required credential added"
    METHOD_CHANGED = "method changed"
    IDEMPOTENT_NO_MORE = "no longer idempotent"

    OPERATION_ADDED = "operation added"
    OPTIONAL_PARAMETER_ADDED = "optional parameter added"
    RESPONSE_PROPERTY_ADDED = "response property added"
    ENUM_VALUE_ADDED = "enum value added"
    PATH_CHANGED = "path changed"
    SCOPES_CHANGED = "scopes changed"
    RESILIENCE_CHANGED = "resilience changed"
    IDEMPOTENT_NOW = "now idempotent"
    OTHER = "changed"

    TEXT_CHANGED = "text for people changed"


BUMPS: Final[Mapping[ChangeKind, Bump]] = {
    ChangeKind.OPERATION_REMOVED: Bump.MAJOR,
    ChangeKind.PARAMETER_REMOVED: Bump.MAJOR,
    ChangeKind.PARAMETER_RETYPED: Bump.MAJOR,
    ChangeKind.PARAMETER_MOVED: Bump.MAJOR,
    ChangeKind.PARAMETER_MADE_REQUIRED: Bump.MAJOR,
    ChangeKind.REQUIRED_PARAMETER_ADDED: Bump.MAJOR,
    ChangeKind.DEFAULT_CHANGED: Bump.MAJOR,
    ChangeKind.ENUM_VALUE_REMOVED: Bump.MAJOR,
    ChangeKind.RESPONSE_PROPERTY_REMOVED: Bump.MAJOR,
    ChangeKind.RESPONSE_PROPERTY_RETYPED: Bump.MAJOR,
    ChangeKind.RESPONSE_PROPERTY_MADE_OPTIONAL: Bump.MAJOR,
    ChangeKind.CREDENTIAL_SENT_OTHERWISE: Bump.MAJOR,
    ChangeKind.REQUIRED_CREDENTIAL_ADDED: Bump.MAJOR,
    ChangeKind.METHOD_CHANGED: Bump.MAJOR,
    ChangeKind.IDEMPOTENT_NO_MORE: Bump.MAJOR,
    ChangeKind.OPERATION_ADDED: Bump.MINOR,
    ChangeKind.OPTIONAL_PARAMETER_ADDED: Bump.MINOR,
    ChangeKind.RESPONSE_PROPERTY_ADDED: Bump.MINOR,
    ChangeKind.ENUM_VALUE_ADDED: Bump.MINOR,
    ChangeKind.PATH_CHANGED: Bump.MINOR,
    ChangeKind.SCOPES_CHANGED: Bump.MINOR,
    ChangeKind.RESILIENCE_CHANGED: Bump.MINOR,
    ChangeKind.IDEMPOTENT_NOW: Bump.MINOR,
    ChangeKind.OTHER: Bump.MINOR,
    ChangeKind.TEXT_CHANGED: Bump.PATCH,
}
"""The bump table. `OTHER` is whatever has no row of its own."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `path` is a JSON pointer by names: `/operations/get_weather/parameters/q/default`.

    `before` and `after` are what stands there, None where nothing does.
    """

    path: str
    kind: ChangeKind
    before: Any = None
    after: Any = None

    @property
    def what(self) -> str:
        return self.kind.value

    @property
    def bump(self) -> Bump:
        return BUMPS[self.kind]


@dataclass(frozen=True, slots=True, order=True)
class VersionNumber:
    """`major.minor.patch`, ordered as numbers."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> VersionNumber:
        """Read `1.2.3`; ValueError for anything else."""
        match = _VERSION.match(text)
        if match is None:
            raise ValueError(f"{text[:40]!r} is not a version: it must be three numbers, such as 1.2.0")
        return cls(*(int(part) for part in match.groups()))

    def bumped(self, bump: Bump) -> VersionNumber:
        match bump:
            case Bump.MAJOR:
                return VersionNumber(self.major + 1, 0, 0)
            case Bump.MINOR:
                return VersionNumber(self.major, self.minor + 1, 0)
            case Bump.PATCH:
                return VersionNumber(self.major, self.minor, self.patch + 1)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def highest(versions: Iterable[str]) -> str | None:
    """The highest of `versions`, or None where there is none."""
    return max(versions, key=VersionNumber.parse, default=None)


def version_named(connector: Connector, name: str) -> VersionSummary:
    """A version of the connector; `not-found` where it has none of this number."""
    for version in connector.versions:
        if version.version == name:
            return version
    there = ", ".join(each.version for each in connector.versions[-_SHOWN:]) or "none"
    raise DibopError("not-found", f"{connector.slug!r} has no version {name}. It has: {there}. Name one of these.")


def bump_of(changes: Iterable[Change]) -> Bump:
    """The largest bump among `changes`; a document that differs in no meaning is a patch."""
    return max((change.bump for change in changes), default=Bump.PATCH)


def next_version(last: str | None, changes: Iterable[Change], *, at_least: Bump = Bump.PATCH) -> str:
    """The version that `changes` since `last` make; 1.0.0 where nothing was published before.

    `at_least` is a bump that a person asked for: a larger one than the changes make is taken.
    """
    if last is None:
        return FIRST_VERSION
    return str(VersionNumber.parse(last).bumped(max(bump_of(changes), at_least)))
