"""What checking against a JSON Schema can cost, known before anything is checked.

References make small schemas large: twenty definitions that each refer twice to the next are a million checks. The
weight of a schema bounds how many of its parts are checked against one value; times the number of values it bounds
the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

MAX_SCHEMA_WEIGHT: Final = 10_000
"""The heaviest schema that is taken: so many of its parts are checked against one value at most."""

_BEYOND: Final = MAX_SCHEMA_WEIGHT * 100
_IN_PLACE_LISTS: Final = ("allOf", "anyOf", "oneOf")
_IN_PLACE: Final = ("not", "if", "then", "else")
_REFERENCES: Final = ("$ref", "$dynamicRef")
_ONE_BY_NAME: Final = ("properties",)
_ONE: Final = ("items", "additionalProperties", "propertyNames")
_ALSO: Final = ("contains", "unevaluatedItems", "unevaluatedProperties")


@dataclass(frozen=True, slots=True)
class Weight:
    """`checks`: how many parts are checked against one value. `branches`: there is an anyOf or oneOf.

    `grows`: it refers to itself in several branches, so that telling why a value does not fit takes twice as long for
    each level of nesting.
    """

    checks: int
    branches: bool
    grows: bool

    @property
    def too_heavy(self) -> bool:
        return self.checks > MAX_SCHEMA_WEIGHT


@dataclass(slots=True)
class _Part:
    """A subschema: what is checked against the same value, and against values inside, of which `one` at a time."""

    in_place: list[int] = field(default_factory=list)
    one: list[int] = field(default_factory=list)
    also: list[int] = field(default_factory=list)

    def all(self) -> Iterator[int]:
        yield from self.in_place
        yield from self.one
        yield from self.also


def weigh(schema: Any) -> Weight:
    """The weight of a valid schema whose references stay inside of it."""
    graph = _Graph(schema)
    checks: dict[int, int] = {}
    grows = False
    for group in _cycles(graph.parts):
        try:
            for part in group:
                _count(graph.parts, part, group, checks)
            grows = grows or (len(group) > 1 and any(_ways_back(graph.parts, part, group, set()) > 1 for part in group))
        except RecursionError:
            return Weight(_BEYOND, graph.branches, grows=True)
    return Weight(checks[graph.root], graph.branches, grows)


class _Graph:
    """The parts of a schema by number, as they lead to each other."""

    def __init__(self, schema: Any) -> None:
        self.parts: list[_Part] = []
        self.branches = False
        self._schema = schema
        self._numbers: dict[int, int] = {}
        self._pending: list[tuple[int, dict[str, Any]]] = []
        self._anchors: dict[str, Any] = {}
        self._find_anchors()
        self.root = self._number(schema)
        while self._pending:
            number, part = self._pending.pop()
            self._read(self.parts[number], part)

    def _number(self, value: Any) -> int:
        known = self._numbers.get(id(value)) if isinstance(value, dict) else None
        if known is not None:
            return known
        number = len(self.parts)
        self.parts.append(_Part())
        if isinstance(value, dict):
            self._numbers[id(value)] = number
            self._pending.append((number, value))
        return number

    def _read(self, part: _Part, schema: dict[str, Any]) -> None:
        self.branches = self.branches or "anyOf" in schema or "oneOf" in schema
        part.in_place += [self._number(each) for name in _IN_PLACE_LISTS for each in _list(schema.get(name))]
        part.in_place += [self._number(schema[name]) for name in _IN_PLACE if name in schema]
        part.in_place += [self._number(each) for each in _values(schema.get("dependentSchemas"))]
        for name in _REFERENCES:
            target = self._target(schema.get(name))
            if target is not None:
                part.in_place.append(self._number(target))
        part.one += [self._number(each) for name in _ONE_BY_NAME for each in _values(schema.get(name))]
        part.one += [self._number(each) for each in _list(schema.get("prefixItems"))]
        part.one += [self._number(schema[name]) for name in _ONE if name in schema]
        part.also += [self._number(each) for each in _values(schema.get("patternProperties"))]
        part.also += [self._number(schema[name]) for name in _ALSO if name in schema]

    def _target(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        if not reference.startswith("#/"):
            return self._schema if reference == "#" else self._anchors.get(reference[1:])
        value = self._schema
        for token in unquote(reference).removeprefix("#/").split("/"):
            key = token.replace("~1", "/").replace("~0", "~")
            if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
                value = value[int(key)]
            elif isinstance(value, dict):
                value = value.get(key)
            else:
                return None
        return value

    def _find_anchors(self) -> None:
        stack = [self._schema]
        while stack:
            value = stack.pop()
            if isinstance(value, dict):
                for name in ("$anchor", "$dynamicAnchor"):
                    if isinstance(value.get(name), str):
                        self._anchors[value[name]] = value
                stack.extend(value.values())
            elif isinstance(value, list):
                stack.extend(value)


def _count(parts: list[_Part], number: int, group: frozenset[int], checks: dict[int, int]) -> int:
    """How many parts are checked against one value; steps back into the same cycle are another value's."""
    known = checks.get(number)
    if known is not None:
        return known
    checks[number] = 1  # met again on the way: a reference in a circle that takes no step into the data
    part = parts[number]

    def inside(other: int) -> int:
        return 1 if other in group else checks[other]

    total = 1 + max(map(inside, part.one), default=0) + sum(map(inside, part.also))
    for other in part.in_place:
        total += _count(parts, other, group, checks) if other in group else checks[other]
    checks[number] = min(total, _BEYOND)
    return checks[number]


def _ways_back(parts: list[_Part], number: int, group: frozenset[int], met: set[int]) -> int:
    """In how many ways at once a part leads back into its cycle, one level further inside."""
    if number in met:
        return 0
    part = parts[number]
    ways = max((1 for other in part.one if other in group), default=0) + sum(other in group for other in part.also)
    for other in part.in_place:
        if other in group:
            ways += _ways_back(parts, other, group, met | {number})
    return ways


def _cycles(parts: list[_Part]) -> Iterator[frozenset[int]]:
    """The parts that lead to each other, innermost first (Tarjan's strongly connected components)."""
    found: dict[int, int] = {}
    low: dict[int, int] = {}
    open_: list[int] = []
    is_open: set[int] = set()
    for start in range(len(parts)):
        if start in found:
            continue
        work = [(start, parts[start].all())]
        found[start] = low[start] = len(found)
        open_.append(start)
        is_open.add(start)
        while work:
            number, following = work[-1]
            other = next(following, None)
            if other is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[number])
                if low[number] == found[number]:
                    group = set()
                    while number not in group:
                        group.add(open_.pop())
                    is_open -= group
                    yield frozenset(group)
            elif other not in found:
                found[other] = low[other] = len(found)
                open_.append(other)
                is_open.add(other)
                work.append((other, parts[other].all()))
            elif other in is_open:
                low[number] = min(low[number], found[other])


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _values(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else []
