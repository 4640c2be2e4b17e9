"""What the drafts of random lives hold, in the few respects that matter, and the bump from one to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from shared.contracts.template import document_digest
from tests.support.connectors import document, operation

OPERATIONS: Final = ("later", "now", "tomorrow")
Bump = int
PATCH, MINOR, MAJOR = 0, 1, 2
BUMPS: Final = ("patch", "minor", "major")
_SCHEMA: Final = {"type": "object", "properties": {"temp": {"type": "number"}}}


@dataclass(frozen=True)
class Content:
    """`bare` is without a response schema for the first operation, `broken` without a base_url: no valid template."""

    name: str = "Weather"
    words: int = 0
    operations: tuple[str, ...] = ("now",)
    bare: bool = False
    broken: bool = False

    @property
    def description(self) -> str:
        return f"The weather, told {self.words} times."

    def document(self, slug: str) -> dict[str, Any]:
        broken = {"base_url": None} if self.broken else {}
        made = [operation(name) | ({} if bare else {"response_schema": _SCHEMA}) for name, bare in self._definitions]
        for each, (_, bare) in zip(made, self._definitions, strict=True):
            if bare:
                del each["response_schema"]
        return document(slug, name=self.name, description=self.description, operations=made, **broken)

    def digest(self, slug: str) -> str:
        return document_digest(self.document(slug))

    def definitions(self) -> set[tuple[str, bool]]:
        """Each operation as evidence tells them apart: by name, and whether it is without a schema."""
        return set(self._definitions)

    @property
    def _definitions(self) -> list[tuple[str, bool]]:
        return [(name, self.bare and name == self.operations[0]) for name in self.operations]


def bump(old: Content, new: Content) -> Bump:
    """By the bump table, for what can differ here."""
    before, after = dict(old.definitions()), dict(new.definitions())
    both = before.keys() & after.keys()
    if before.keys() - after.keys() or any(after[each] and not before[each] for each in both):
        return MAJOR
    return MINOR if before != after else PATCH


def bumped(version: tuple[int, int, int], by: Bump) -> tuple[int, int, int]:
    major, minor, patch = version
    return ((major, minor, patch + 1), (major, minor + 1, 0), (major + 1, 0, 0))[by]
