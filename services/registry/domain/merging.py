"""Two edits of one document put together: what changed on one side alone is taken, what changed on both is told.

Mappings are compared field by field, operations and parameters by their names, so that work on different operations
never meets. A JSON Schema, a default and an enum are each one thing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from services.registry.domain.drafts import Change, Kind, by_name, pointer

_NAMED: Final[Mapping[str, str]] = {"operations": "operation", "parameters": "name"}
"""Lists whose items have a name, and the field that holds it."""
_WHOLE: Final = frozenset({"response_schema", "schema", "default", "enum"})
_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Merge:
    """`document` has theirs wherever both sides changed the same to something else: `conflicts` are these places."""

    document: dict[str, Any]
    conflicts: list[Change]


def merge(base: Mapping[str, Any], theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> Merge:
    """Put together what two authors made of `base`. Paths of conflicts point into `theirs`."""
    merger = _Merger()
    return Merge(merger.mapping(_ROOT, base, theirs, mine), merger.conflicts)


def merge_patch(target: Any, patch: Any) -> Any:
    """JSON Merge Patch (RFC 7396): `null` removes, mappings go in, everything else is replaced."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


@dataclass(frozen=True, slots=True)
class _Place:
    """`name` is the last field's, `what` names the place for people."""

    path: str
    name: str
    what: str

    def field(self, name: str) -> _Place:
        what = f"{self.what}{': ' if self.what.endswith(_QUOTE) else '.'}{name}" if self.what else name
        return _Place(self.path + pointer(name), name, what)

    def item(self, position: int, name: str) -> _Place:
        around = self.what.rpartition(self.name)[0].removesuffix(".")
        return _Place(f"{self.path}/{position}", "", f"{around}{_NAMED_ITEM[self.name]} {name!r}")


_QUOTE: Final = "'"
_NAMED_ITEM: Final[Mapping[str, str]] = {"operations": "operation", "parameters": "parameter"}
_ROOT: Final = _Place("", "", "")


@dataclass(slots=True)
class _Merger:
    conflicts: list[Change] = field(default_factory=list)

    def mapping(self, place: _Place, base: Any, theirs: Any, mine: Any) -> dict[str, Any]:
        """Fields in their order, then those that are new in mine."""
        names = [*theirs, *(name for name in mine if name not in theirs)]
        merged = {
            name: self._value(place.field(name), *(side.get(name, _ABSENT) for side in (base, theirs, mine)))
            for name in names
        }
        return {name: value for name, value in merged.items() if value is not _ABSENT}

    def _value(self, place: _Place, base: Any, theirs: Any, mine: Any) -> Any:
        if _same(theirs, mine) or _same(base, mine):
            return theirs
        if _same(base, theirs):
            return mine
        before = {} if base is _ABSENT else base
        if place.name not in _WHOLE and all(isinstance(side, dict) for side in (before, theirs, mine)):
            return self.mapping(place, before, theirs, mine)
        if place.name in _NAMED:
            merged = self._named(place, [] if base is _ABSENT else base, theirs, mine)
            if merged is not None:
                return merged
        return self._conflict(place, base, theirs)

    def _named(self, place: _Place, base: Any, theirs: Any, mine: Any) -> list[Any] | None:
        """Items put together by name; None for what is no list of named items."""
        key = _NAMED[place.name]
        sides = [by_name(side, key) if isinstance(side, list) else None for side in (base, theirs, mine)]
        old, there, here = sides
        if old is None or there is None or here is None:
            return None
        merged = {}
        for name in {**there, **here}:
            at = place.item((there.get(name) or here[name])[0], name)
            values = [side[name][1] if name in side else _ABSENT for side in (old, there, here)]
            both_new = name not in old and name in there and name in here
            if both_new and not _same(values[1], values[2]):
                merged[name] = self._conflict(at, values[0], values[1])
            else:
                merged[name] = self._value(at, *values)
        kept = {name for name, value in merged.items() if value is not _ABSENT}
        lead, other = list(there), list(here)
        if (order := _leading(list(old), lead, other)) is None:
            self.conflicts.append(Change(place.path, f"the order of {place.what}", "changed"))
            order = lead, other
        return [merged[name] for name in _woven(*order) if name in kept]

    def _conflict(self, place: _Place, base: Any, theirs: Any) -> Any:
        self.conflicts.append(Change(place.path, place.what, _kind(base, theirs)))
        return theirs


def _kind(base: Any, theirs: Any) -> Kind:
    if base is _ABSENT:
        return "added"
    return "removed" if theirs is _ABSENT else "changed"


def _leading(base: list[str], theirs: list[str], mine: list[str]) -> tuple[list[str], list[str]] | None:
    """The side whose order is taken, and the other; None where both reordered, differently."""
    shared = set(base) & set(theirs) & set(mine)
    old, there, here = ([name for name in side if name in shared] for side in (base, theirs, mine))
    if old == there:
        return mine, theirs
    return (theirs, mine) if here in (old, there) else None


def _woven(lead: Sequence[str], other: Sequence[str]) -> list[str]:
    """The names of both in the order of `lead`; what only the other has goes behind what it stands behind there."""
    order, known = list(lead), set(lead)
    behind: str | None = None
    for name in other:
        if name not in known:
            order.insert(0 if behind is None else order.index(behind) + 1, name)
            known.add(name)
        behind = name
    return order


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1."""
    return bool(one == other) and _alike(one, other)


def _alike(one: Any, other: Any) -> bool:
    """Of values that Python holds to be equal."""
    if isinstance(one, dict):
        return all(_alike(value, other[name]) for name, value in one.items())
    if isinstance(one, list):
        return all(map(_alike, one, other))
    return isinstance(one, bool) is isinstance(other, bool)
