"""Differences between two JSON Schemas (2020-12), as whoever sends or reads the values meets them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.publisher.domain.versioning import Change, ChangeKind
from shared.contracts.template import canonical_json
from shared.contracts.template.problems import escape

Schema = Mapping[str, Any]

ANNOTATIONS: Final = frozenset(
    {"title", "description", "$comment", "examples", "deprecated", "readOnly", "writeOnly", "$id", "$schema", "$anchor"}
)
_CONDITIONS: Final = ("not", "if", "then", "else", "contains")
_SUBSCHEMAS: Final = ("items", "propertyNames")
_REST: Final = ("additionalProperties", "unevaluatedProperties", "unevaluatedItems")
_LISTS: Final = ("prefixItems", "allOf", "anyOf", "oneOf")
_MAPS: Final = ("patternProperties", "dependentSchemas")
_WALKED: Final = frozenset(
    {*_CONDITIONS, *_SUBSCHEMAS, *_REST, *_LISTS, *_MAPS}
    | {"type", "const", "enum", "properties", "required", "default", "$ref", "$defs", "definitions"}
)
_ABSENT: Final[Any] = object()


@dataclass(frozen=True, slots=True)
class SchemaPolicy:
    """Which kind of change each difference is. What breaks a reader and what breaks a sender are not the same."""

    removed: ChangeKind
    added: ChangeKind
    added_required: ChangeKind
    retyped: ChangeKind
    made_required: ChangeKind
    made_optional: ChangeKind
    default_changed: ChangeKind
    enum_introduced: ChangeKind


RESPONSE: Final = SchemaPolicy(
    removed=ChangeKind.RESPONSE_PROPERTY_REMOVED,
    added=ChangeKind.RESPONSE_PROPERTY_ADDED,
    added_required=ChangeKind.RESPONSE_PROPERTY_ADDED,
    retyped=ChangeKind.RESPONSE_PROPERTY_RETYPED,
    made_required=ChangeKind.OTHER,
    made_optional=ChangeKind.RESPONSE_PROPERTY_MADE_OPTIONAL,
    default_changed=ChangeKind.OTHER,
    enum_introduced=ChangeKind.OTHER,
)
PARAMETER: Final = SchemaPolicy(
    removed=ChangeKind.PARAMETER_REMOVED,
    added=ChangeKind.OPTIONAL_PARAMETER_ADDED,
    added_required=ChangeKind.REQUIRED_PARAMETER_ADDED,
    retyped=ChangeKind.PARAMETER_RETYPED,
    made_required=ChangeKind.PARAMETER_MADE_REQUIRED,
    made_optional=ChangeKind.OTHER,
    default_changed=ChangeKind.DEFAULT_CHANGED,
    enum_introduced=ChangeKind.ENUM_VALUE_REMOVED,
)


def same(old: Any, new: Any) -> bool:
    """Equal as JSON: `1` and `1.0` are, `1` and `true` are not."""
    if old is _ABSENT or new is _ABSENT:
        return old is new
    return bool(canonical_json(old) == canonical_json(new))


def schema_changes(path: str, old: Schema | None, new: Schema | None, policy: SchemaPolicy) -> Iterator[Change]:
    """All differences between two schemas; None stands for no schema at all."""
    if old is None and new is None:
        return
    if old is None:
        yield Change(path, policy.added, after=new)
    elif new is None:
        yield Change(path, policy.removed, before=old)
    else:
        yield from _Comparison(old, new, policy).nodes(path, old, new)


def enum_changes(path: str, old: Any, new: Any, introduced: ChangeKind) -> Iterator[Change]:
    """Differences between two `enum` lists, None where there is none: no list allows every value."""
    if old is None and new is None:
        return
    if old is None:
        yield Change(path, introduced, after=new)
    elif new is None:
        yield Change(path, ChangeKind.ENUM_VALUE_ADDED, before=old)
    else:
        before, after = ({canonical_json(value) for value in values} for values in (old, new))
        if before - after:
            yield Change(path, ChangeKind.ENUM_VALUE_REMOVED, old, new)
        if after - before:
            yield Change(path, ChangeKind.ENUM_VALUE_ADDED, old, new)


class _Comparison:
    """A walk over two schemas side by side, following local references, each pair of references once."""

    def __init__(self, old_root: Schema, new_root: Schema, policy: SchemaPolicy) -> None:
        self._old_root = old_root
        self._new_root = new_root
        self._policy = policy
        self._seen: set[tuple[str | int, str | int]] = {("#", "#")}

    def nodes(self, path: str, old: Any, new: Any) -> Iterator[Change]:
        if _is_schema(old) and _is_schema(new):
            if _reference(old) or _reference(new):
                pair = (_reference(old) or id(old), _reference(new) or id(new))
                if pair in self._seen:
                    return
                self._seen.add(pair)
            old, new = _resolve(self._old_root, old), _resolve(self._new_root, new)
            yield from self._same_place(path, old, new)
        elif not same(old, new):
            yield Change(path, ChangeKind.OTHER, old, new)

    def _same_place(self, path: str, old: Schema, new: Schema) -> Iterator[Change]:
        if _shape(old) != _shape(new) or not same(old.get("const", _ABSENT), new.get("const", _ABSENT)):
            yield Change(path, self._policy.retyped, old, new)
            return
        yield from enum_changes(f"{path}/enum", old.get("enum"), new.get("enum"), self._policy.enum_introduced)
        yield from self._properties(path, old, new)
        yield from self._subschemas(path, old, new)
        if not same(old.get("default", _ABSENT), new.get("default", _ABSENT)):
            yield Change(f"{path}/default", self._policy.default_changed, old.get("default"), new.get("default"))
        for keyword in sorted(old.keys() | new.keys()):
            if same(old.get(keyword, _ABSENT), new.get(keyword, _ABSENT)):
                continue
            if keyword in ANNOTATIONS or keyword not in _WALKED:
                kind = ChangeKind.TEXT_CHANGED if keyword in ANNOTATIONS else ChangeKind.OTHER
                yield Change(f"{path}/{escape(keyword)}", kind, old.get(keyword), new.get(keyword))

    def _properties(self, path: str, old: Schema, new: Schema) -> Iterator[Change]:
        before, after = old.get("properties") or {}, new.get("properties") or {}
        needed_before, needed_after = set(old.get("required") or ()), set(new.get("required") or ())
        for name in [*before, *(n for n in after if n not in before)]:
            place = f"{path}/properties/{escape(name)}"
            if name not in after:
                yield Change(place, self._policy.removed, before=before[name])
            elif name not in before:
                needed = name in needed_after and not _has_default(after[name])
                kind = self._policy.added_required if needed else self._policy.added
                yield Change(place, kind, after=after[name])
            else:
                yield from self.nodes(place, before[name], after[name])
        for name in sorted(needed_before ^ needed_after):
            if (name in before) == (name in after):
                was = name in needed_before
                kind = self._policy.made_optional if was else self._policy.made_required
                yield Change(f"{path}/required/{escape(name)}", kind, was, not was)

    def _subschemas(self, path: str, old: Schema, new: Schema) -> Iterator[Change]:
        for keyword in (*_SUBSCHEMAS, *_CONDITIONS):
            if keyword in old or keyword in new:
                yield from self.nodes(f"{path}/{keyword}", old.get(keyword, {}), new.get(keyword, {}))
        for keyword in _REST:
            before, after = old.get(keyword, True), new.get(keyword, True)
            if before is after:
                continue
            if before is not False and after is not False:
                yield from self.nodes(f"{path}/{keyword}", before, after)
            else:
                yield Change(f"{path}/{keyword}", ChangeKind.OTHER, before, after)
        for keyword in _LISTS:
            for index, (one, other) in enumerate(zip(old.get(keyword, ()), new.get(keyword, ()), strict=True)):
                yield from self.nodes(f"{path}/{keyword}/{index}", one, other)
        for keyword in _MAPS:
            befores, afters = old.get(keyword) or {}, new.get(keyword) or {}
            for name in [*befores, *(n for n in afters if n not in befores)]:
                yield from self.nodes(f"{path}/{keyword}/{escape(name)}", befores.get(name, {}), afters.get(name, {}))


def _is_schema(value: Any) -> bool:
    return isinstance(value, Mapping | bool)


def _reference(schema: Any) -> str:
    return str(schema.get("$ref", "")) if isinstance(schema, Mapping) else ""


def _resolve(root: Schema, schema: Any) -> Schema:
    """The schema that a local reference leads to, with what stands beside the reference laid over it.

    A reference that leads nowhere, round in a circle or to another document is left as it is.
    """
    if isinstance(schema, bool):
        return {} if schema else {"not": {}}
    followed: set[str] = set()
    while (reference := _reference(schema)) not in followed and reference.startswith("#"):
        followed.add(reference)
        target: Any = root
        for part in reference[1:].split("/")[1:]:
            target = target.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(target, Mapping) else None
        if not isinstance(target, Mapping):
            break
        schema = {**target, **{keyword: value for keyword, value in schema.items() if keyword != "$ref"}}
    result: Schema = schema
    return result


def _types(schema: Schema) -> frozenset[str]:
    """The types that a schema allows; what it says about properties or items tells where `type` is left out."""
    stated = schema.get("type")
    if isinstance(stated, str):
        return frozenset({stated})
    if isinstance(stated, list):
        return frozenset(stated)
    if "properties" in schema:
        return frozenset({"object"})
    if "items" in schema:
        return frozenset({"array"})
    return frozenset()


def _shape(schema: Schema) -> tuple[object, ...]:
    """What must not change for values to keep their type: types, conditions, and how many alternatives there are."""
    return (
        _types(schema),
        tuple(keyword in schema for keyword in _CONDITIONS),
        tuple(len(schema.get(keyword) or ()) for keyword in _LISTS),
    )


def _has_default(schema: Any) -> bool:
    return isinstance(schema, Mapping) and "default" in schema
