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
        Change(pointer(name), name, _kind(name, before, after))
        for name in _names(before, after)
        if name != "operations" and before.get(name, _ABSENT) != after.get(name, _ABSENT)
    ]
    return found + _operation_changes(before.get("operations"), after.get("operations"))


def stale_save(
    slug: str,
    base: int | None,
    current: Revision,
    changed: Sequence[Change],
    both: Sequence[Change] | None = None,
) -> DibopError:
    """`conflict`: says what stands there now, whose it is, and what changed since `base`.

    `both` are the places that the refused save changed too, to something else: these alone take a decision. `errors`
    has them first, marked so; where there are none, the two can be merged. None is for what is no edit to be merged.
    """
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
    if both is None:
        next_step = f"Look at it, and repeat with base_revision {current.revision} if it is still what you want."
    elif both:
        next_step = (
            f"Changed on both sides: {_summary(both)}. Decide these, and save with base_revision {current.revision}."
        )
    else:
        next_step = (
            "Nothing was changed on both sides: repeat with `merge` to keep both, or read the draft, merge, and save "
            f"with base_revision {current.revision}."
        )
    return DibopError(
        "conflict",
        f"The draft {now}. Changed since revision {base}: {_summary(changed)}. {next_step}",
        errors=[
            *(_told(each, f"{each} on both sides since revision {base}", both=True) for each in both or ()),
            *(
                _told(each, f"{each} since revision {base}", both=False)
                for each in changed
                if not any(_within(one.path, each.path) for one in both or ())
            ),
        ],
    )


def told_short(changed: Sequence[Change]) -> list[str]:
    """What a revision changed, as a list of revisions has room for."""
    more = [f"{len(changed) - _SHOWN} more"] if len(changed) > _SHOWN else []
    return [_one_line(str(change)) for change in changed[:_SHOWN]] + more


def _told(change: Change, problem: str, *, both: bool) -> dict[str, str | bool]:
    mend = "decide between the two" if both else "take over this change or undo it knowingly"
    return {"path": change.path, "problem": problem, "mend": mend, "both": both}


def _within(path: str, around: str) -> bool:
    return path == around or path.startswith(f"{around}/")


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
    old, new = by_name(before, "operation"), by_name(after, "operation")
    if old is None or new is None:
        return [Change("/operations", "operations", "changed")]
    found = [
        Change(f"/operations/{(new.get(name) or old[name])[0]}", f"operation {name!r}", _kind(name, old, new))
        for name in _names(old, new)
        if name not in old or name not in new or old[name][1] != new[name][1]
    ]
    return found or [Change("/operations", "the order of operations", "changed")]


def by_name(items: Any, key: str) -> dict[str, tuple[int, Any]] | None:
    """Items by what their field `key` says, with their positions; None for what is no list of named ones."""
    if items is None:
        return {}
    if not isinstance(items, list):
        return None
    named: dict[str, tuple[int, Any]] = {}
    for position, item in enumerate(items):
        name = item.get(key) if isinstance(item, dict) else None
        if not isinstance(name, str) or name in named:
            return None
        named[name] = (position, item)
    return named


def _summary(changed: Sequence[Change]) -> str:
    if not changed:
        return "nothing that still differs"
    more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
    return ", ".join(str(change) for change in changed[:_SHOWN]) + more


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text[:_MAX_NAME])


def pointer(name: str) -> str:
    """A step of a JSON pointer (RFC 6901)."""
    return "/" + name.replace("~", "~0").replace("/", "~1")
