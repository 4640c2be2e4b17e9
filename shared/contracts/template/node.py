"""A forgiving view of a document that may be wrong: what has the wrong type reads as absent.

Rules read through it, so that one mistake does not hide others, nor raise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from shared.contracts.template.problems import escape

MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the document and where it stands."""

    value: Any
    path: str = ""

    def get(self, key: str) -> Any:
        """The value of a field; `MISSING` where there is none."""
        return self.value.get(key, MISSING) if isinstance(self.value, dict) else MISSING

    def child(self, key: str) -> Node:
        return Node(self.get(key), self.at(key))

    def at(self, key: str | int) -> str:
        """The pointer of a child."""
        return f"{self.path}/{escape(str(key))}"

    def has(self, key: str) -> bool:
        """True where the field is written with something else than null."""
        value = self.get(key)
        return value is not MISSING and value is not None

    def text(self, key: str) -> str | None:
        value = self.get(key)
        return value if isinstance(value, str) else None

    def flag(self, key: str, default: bool = False) -> bool:
        value = self.get(key)
        return value if isinstance(value, bool) else default

    def number(self, key: str) -> float | None:
        value = self.get(key)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def items(self, key: str) -> Iterator[Node]:
        """The elements of a list that are mappings."""
        values = self.get(key)
        if isinstance(values, list):
            path = self.at(key)
            for index, value in enumerate(values):
                if isinstance(value, dict):
                    yield Node(value, f"{path}/{index}")

    def entries(self, key: str) -> Iterator[tuple[str, Node]]:
        """The entries of a mapping."""
        child = self.child(key)
        if isinstance(child.value, dict):
            for name, value in child.value.items():
                yield name, Node(value, child.at(name))
