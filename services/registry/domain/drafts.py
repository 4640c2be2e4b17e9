"""Drafts: what changed between two documents, and the refusal of a save that started from an old one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from shared.contracts.errors import DibopError

Kind = Literal["added", "removed", "changed"]

_SHOWN: Final = 20
_MAX_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Revision:
    """One saved state of a draft."""

    revision: int
    digest: str
    saved_by: str
    saved_at: str


@dataclass(frozen=True, slots=True)
class Change:
    """A place of a document that differs: `path` is a JSON pointer, `what` names the place for people."""

    path: str
    what: str
    kind: Kind

    def __str__(self) -> str:
        return f"{self.what} ({self.kind})"


def headline(slug: str, document: Mapping[str, Any]) -> tuple[str, str]:
    """Name and type as lists show them, also of a document that is not valid."""
    name, kind = document.get("name"), document.get("type")
    return (
        _one_line(name) if isinstance(name, str) and name else slug,
        _one_line(kind) if isinstance(kind, str) else "",
    )


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Which top-level fields and operations differ; operations are told apart by name, else by position."""
    found = [
        Change(_pointer(name), name, _kind(name, before, after))
        for name in _names(before, after)
        if name != "operations" and before.get(name, _ABSENT) != after.get(name, _ABSENT)
    ]
    return found + _operation_changes(before.get("operations"), after.get("operations"))


def stale_save(slug: str, base: int | None, current: Revision, changed: Sequence[Change]) -> DibopError:
    """`conflict`: says what stands there now, whose it is, and what changed since `base`."""
    now = f"{slug!r} is at revision {current.revision}, saved by {current.saved_by!r} at {current.saved_at}"
    if base is None:
        return DibopError(
            "conflict",
            f"The draft {now}, and this save names no revision it started from. "
            f"Read the draft, merge, and save with base_revision {current.revision}.",
        )
    if base > current.revision:
        return DibopError(
            "conflict",
            f"The draft {now}; revision {base} does not exist. "
            f"Read the draft, merge, and save with base_revision {current.revision}.",
        )
    return DibopError(
        "conflict",
        f"The draft {now}. Changed since revision {base}: {_summary(changed)}. "
        f"Read the draft, merge, and save with base_revision {current.revision}.",
        errors=[
            {
                "path": change.path,
                "problem": f"{change} since revision {base}",
                "mend": "take over this change or undo it knowingly",
            }
            for change in changed
        ],
    )


_ABSENT: Final = object()


def _names(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [*before, *(name for name in after if name not in before)]


def _kind(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Kind:
    if name not in before:
        return "added"
    return "changed" if name in after else "removed"


def _operation_changes(before: Any, after: Any) -> list[Change]:
    if before == after:
        return []
    old, new = _by_name(before), _by_name(after)
    if old is None or new is None:
        return [Change("/operations", "operations", "changed")]
    found = [
        Change(f"/operations/{(new.get(name) or old[name])[0]}", f"operation {name!r}", _kind(name, old, new))
        for name in _names(old, new)
        if name not in old or name not in new or old[name][1] != new[name][1]
    ]
    return found or [Change("/operations", "the order of operations", "changed")]


def _by_name(operations: Any) -> dict[str, tuple[int, Any]] | None:
    """Operations by name with their positions; None for what is no list of them."""
    if operations is None:
        return {}
    if not isinstance(operations, list):
        return None
    named: dict[str, tuple[int, Any]] = {}
    for position, operation in enumerate(operations):
        name = operation.get("operation") if isinstance(operation, dict) else None
        if not isinstance(name, str) or name in named:
            return None
        named[name] = (position, operation)
    return named


def _summary(changed: Sequence[Change]) -> str:
    if not changed:
        return "nothing that still differs"
    more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
    return ", ".join(str(change) for change in changed[:_SHOWN]) + more


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text[:_MAX_NAME])


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")
