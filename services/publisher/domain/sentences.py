"""Changes as people read them: one sentence each, naming the place, what it was and what it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from services.publisher.domain.versioning import Change, ChangeKind
from shared.contracts.template import canonical_json
from shared.contracts.template.problems import SHOWN_CHARACTERS, shown

_MANY: Final = 6
_ASPECTS: Final = frozenset({"default", "enum", "required"})
"""Keywords that say something about the place which the rest of a path names."""


def sentence(change: Change) -> str:
    """`The default of parameter 'units' of 'get_weather' changes from "metric" to "imperial".`"""
    return _capitalised(_SENTENCES.get(change.kind, _changes)(change))


def _operation_removed(change: Change) -> str:
    return f"{place(change.path)} is removed; who calls it gets an error."


def _removed(change: Change) -> str:
    return f"{place(change.path)} is removed."


def _added(change: Change) -> str:
    return f"{place(change.path)} is added."


def _required_added(change: Change) -> str:
    return f"{place(change.path)} is added and required, so calls as they are now would fail."


def _required_credential(change: Change) -> str:
    said = "is added and required" if change.before is None else "is now required"
    return f"{place(change.path)} {said}, and connections do not have it yet."


def _made_required(change: Change) -> str:
    return f"{place(change.path)} is now required."


def _made_optional(change: Change) -> str:
    return f"{place(change.path)} is no longer always there."


def _retyped(change: Change) -> str:
    before, after = _type(change.before), _type(change.after)
    if before == after:
        return f"{place(change.path)} takes another form."
    return f"{place(change.path)} changes its type from {before} to {after}."


def _moved(change: Change) -> str:
    return f"{place(change.path)} moves from {change.before} to {change.after}."


def _default(change: Change) -> str:
    where = f"the default of {place(change.path)}"
    if change.before is None:
        return f"{where} is now {_value(change.after)}; there was none."
    if change.after is None:
        return f"{where} is dropped; it was {_value(change.before)}."
    return f"{where} changes from {_value(change.before)} to {_value(change.after)}."


def _enum_removed(change: Change) -> str:
    if change.before is None:
        return f"{place(change.path)} now allows only {_values(change.after)}."
    return f"{place(change.path)} no longer allows {_values(_without(change.before, change.after))}."


def _enum_added(change: Change) -> str:
    if change.after is None:
        return f"{place(change.path)} now allows any value, not only {_values(change.before)}."
    return f"{place(change.path)} also allows {_values(_without(change.after, change.before))}."


def _sent_otherwise(change: Change) -> str:
    return f"{_changed(change)}: credentials go another way or to another host."


def _now_idempotent(change: Change) -> str:
    return f"{place(change.path)} is now idempotent, so failed attempts are repeated."


def _idempotent_no_more(change: Change) -> str:
    return f"{place(change.path)} is no longer idempotent, so failed attempts are not repeated."


def _changes(change: Change) -> str:
    return f"{_changed(change)}."


_SENTENCES: Final[Mapping[ChangeKind, Callable[[Change], str]]] = {
    ChangeKind.OPERATION_REMOVED: _operation_removed,
    ChangeKind.PARAMETER_REMOVED: _removed,
    ChangeKind.PARAMETER_RETYPED: _retyped,
    ChangeKind.PARAMETER_MOVED: _moved,
    ChangeKind.PARAMETER_MADE_REQUIRED: _made_required,
    ChangeKind.REQUIRED_PARAMETER_ADDED: _required_added,
    ChangeKind.DEFAULT_CHANGED: _default,
    ChangeKind.ENUM_VALUE_REMOVED: _enum_removed,
    ChangeKind.RESPONSE_PROPERTY_REMOVED: _removed,
    ChangeKind.RESPONSE_PROPERTY_RETYPED: _retyped,
    ChangeKind.RESPONSE_PROPERTY_MADE_OPTIONAL: _made_optional,
    ChangeKind.CREDENTIAL_SENT_OTHERWISE: _sent_otherwise,
    ChangeKind.REQUIRED_CREDENTIAL_ADDED: _required_credential,
    ChangeKind.IDEMPOTENT_NO_MORE: _idempotent_no_more,
    ChangeKind.OPERATION_ADDED: _added,
    ChangeKind.OPTIONAL_PARAMETER_ADDED: _added,
    ChangeKind.RESPONSE_PROPERTY_ADDED: _added,
    ChangeKind.ENUM_VALUE_ADDED: _enum_added,
    ChangeKind.IDEMPOTENT_NOW: _now_idempotent,
}
"""Every other kind is told as a value that changes."""


def place(path: str) -> str:
    """The place that a change's path names, in words: `parameter 'units' of 'get_weather'`."""
    match [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]:
        case ["operations", operation]:
            return f"operation {operation!r}"
        case ["operations", operation, "idempotent"]:
            return f"operation {operation!r}"
        case ["operations", operation, "parameters", name, "location" | "type"]:
            return f"parameter {name!r} of {operation!r}"
        case ["operations", operation, "parameters", name, *rest]:
            return _within(f"parameter {name!r} of {operation!r}", _schema_place(rest))
        case ["operations", operation, "response_schema", *rest]:
            return _within(f"the response of {operation!r}", _schema_place(rest))
        case ["operations", operation, *rest]:
            return f"{'.'.join(rest)} of {operation!r}"
        case ["credential_schema", name, *rest]:
            return _within(f"credential {name!r}", _schema_place(rest))
        case parts:
            return ".".join(parts)


def _schema_place(parts: Sequence[str]) -> str:
    """What a path within a schema names: property names joined by dots, other keywords as they are.

    The name of a property may be that of a keyword, so they are told apart by what stands before them.
    """
    names: list[str] = []
    rest = list(parts[1:]) if parts[:1] == ["schema"] else list(parts)
    while rest:
        keyword = rest.pop(0)
        if keyword in {"properties", "required"} and rest:
            names.append(rest.pop(0))
        elif keyword == "items":
            names.append("[]")
        elif rest or keyword not in _ASPECTS:
            names.append(keyword)
    return ".".join(names).replace(".[]", "[]")


def _within(whole: str, part: str) -> str:
    return f"{part!r} in {whole}" if part else whole


def _changed(change: Change) -> str:
    where = place(change.path)
    if change.before is None:
        return f"{where} is added: {_value(change.after)}"
    if change.after is None:
        return f"{where} is taken away; it was {_value(change.before)}"
    before, after = _value(change.before), _value(change.after)
    return f"{where} changes" if before == after else f"{where} changes from {before} to {after}"


def _value(value: Any) -> str:
    """A value in few characters."""
    return _values(value) if isinstance(value, list) else _one(value)


def _one(value: Any) -> str:
    if isinstance(value, str) and len(value) <= SHOWN_CHARACTERS:
        return json.dumps(value, ensure_ascii=False)
    return shown(value)


def _values(values: Sequence[Any]) -> str:
    listed = ", ".join(_one(value) for value in values[:_MANY])
    more = f" and {len(values) - _MANY} more" if len(values) > _MANY else ""
    return f"{listed}{more}" if values else "nothing"


def _without(values: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    known = {canonical_json(value) for value in others}
    return [value for value in values if canonical_json(value) not in known]


def _type(value: Any) -> str:
    """The type that a parameter's `type` or a schema states."""
    stated = value.get("type") if isinstance(value, Mapping) else value
    if isinstance(stated, list):
        return " or ".join(map(str, stated))
    return str(stated) if isinstance(stated, str) else "no certain type"


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:] if text.split(" ", 1)[0].isalpha() else text
