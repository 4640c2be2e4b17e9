"""What changed between two templates, told in the kinds of the bump table.

A field that stands in one of the tables below is of that kind; one that stands in none is `OTHER`.
Written-out defaults, the order of operations and the order of parameters make no difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from services.publisher.domain.schemas import PARAMETER, RESPONSE, enum_changes, same, schema_changes
from services.publisher.domain.versioning import Change, ChangeKind
from shared.contracts.template.problems import escape

Fields = Mapping[str, Any]
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}

OVERVIEW_FIELDS: Final[Mapping[str, ChangeKind]] = {
    "name": ChangeKind.TEXT_CHANGED,
    "description": ChangeKind.TEXT_CHANGED,
    "documentation_url": ChangeKind.TEXT_CHANGED,
    "icon": ChangeKind.TEXT_CHANGED,
    "mappings": ChangeKind.TEXT_CHANGED,
    "auth_type": ChangeKind.CREDENTIAL_SENT_OTHERWISE,
    "header_name": ChangeKind.CREDENTIAL_SENT_OTHERWISE,
    "query_parameter": ChangeKind.CREDENTIAL_SENT_OTHERWISE,
    "key_prefix": ChangeKind.CREDENTIAL_SENT_OTHERWISE,
    "grant_type": ChangeKind.CREDENTIAL_SENT_OTHERWISE,
    "token_auth_method": ChangeKind.CREDENTIAL_SENT_OTHERWISE,
    "token_parameters": ChangeKind.CREDENTIAL_SENT_OTHERWISE,
    "scope_separator": ChangeKind.SCOPES_CHANGED,
    "scopes": ChangeKind.SCOPES_CHANGED,
    "resilience": ChangeKind.RESILIENCE_CHANGED,
}
OPERATION_FIELDS: Final[Mapping[str, ChangeKind]] = {
    "display_name": ChangeKind.TEXT_CHANGED,
    "description": ChangeKind.TEXT_CHANGED,
    "method": ChangeKind.METHOD_CHANGED,
    "path": ChangeKind.PATH_CHANGED,
    "resilience": ChangeKind.RESILIENCE_CHANGED,
}
PARAMETER_FIELDS: Final[Mapping[str, ChangeKind]] = {
    "description": ChangeKind.TEXT_CHANGED,
    "type": ChangeKind.PARAMETER_RETYPED,
    "location": ChangeKind.PARAMETER_MOVED,
    "default": ChangeKind.DEFAULT_CHANGED,
}
CREDENTIAL_FIELDS: Final[Mapping[str, ChangeKind]] = {
    "label": ChangeKind.TEXT_CHANGED,
    "help": ChangeKind.TEXT_CHANGED,
    "default": ChangeKind.DEFAULT_CHANGED,
}
ADDRESS_FIELDS: Final = ("base_url", "token_url", "authorization_url")
"""Addresses that credentials go to: another scheme, host or port is another receiver."""
_IDENTITY: Final = frozenset({"slug"})


def document_changes(old: Fields, new: Fields) -> list[Change]:
    """All changes from one template to another, as whole documents with every default written out."""
    apart = {*ADDRESS_FIELDS, *_IDENTITY, "operations", "credential_schema"}
    return [
        *_field_changes("", old, new, OVERVIEW_FIELDS, apart),
        *(change for field in ADDRESS_FIELDS for change in _address_changes(field, old.get(field), new.get(field))),
        *_credential_changes(old.get("credential_schema") or {}, new.get("credential_schema") or {}),
        *_operations_changes(_by(old.get("operations"), "operation"), _by(new.get("operations"), "operation")),
    ]


def _field_changes(
    path: str, old: Fields, new: Fields, kinds: Mapping[str, ChangeKind], apart: Iterable[str]
) -> Iterator[Change]:
    """Fields that differ, each of its kind; null and absent are the same."""
    for field in sorted((old.keys() | new.keys()) - set(apart)):
        if not same(old.get(field), new.get(field)):
            kind = kinds.get(field, ChangeKind.OTHER)
            yield Change(f"{path}/{escape(field)}", kind, old.get(field), new.get(field))


def _address_changes(field: str, old: str | None, new: str | None) -> Iterator[Change]:
    if (old or "") == (new or ""):
        return
    same_receiver = bool(old and new) and _receiver(old or "") == _receiver(new or "")
    kind = ChangeKind.PATH_CHANGED if same_receiver else ChangeKind.CREDENTIAL_SENT_OTHERWISE
    yield Change(f"/{field}", kind, old, new)


def _receiver(url: str) -> tuple[str, str]:
    """Scheme and host with port of an address; placeholders stay as they are."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2].lower().removesuffix(":" + _DEFAULT_PORTS.get(parts.scheme.lower(), "-"))
    return parts.scheme.lower(), host


def _credential_changes(old: Fields, new: Fields) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        path = f"/credential_schema/{name}"
        before, after = old.get(name), new.get(name)
        if before is None or after is None:
            required = after is not None and after.get("required")
            kind = ChangeKind.REQUIRED_CREDENTIAL_ADDED if required else ChangeKind.OTHER
            yield Change(path, kind, before, after)
            continue
        yield from _field_changes(path, before, after, CREDENTIAL_FIELDS, {"required"})
        was, required = bool(before.get("required")), bool(after.get("required"))
        if was != required:
            kind = ChangeKind.REQUIRED_CREDENTIAL_ADDED if required else ChangeKind.OTHER
            yield Change(f"{path}/required", kind, was, required)


def _operations_changes(old: Mapping[str, Fields], new: Mapping[str, Fields]) -> Iterator[Change]:
    for name in [*old, *(n for n in new if n not in old)]:
        path = f"/operations/{name}"
        if name not in new:
            yield Change(path, ChangeKind.OPERATION_REMOVED, before=old[name])
        elif name not in old:
            yield Change(path, ChangeKind.OPERATION_ADDED, after=new[name])
        else:
            yield from _operation_changes(path, old[name], new[name])


def _operation_changes(path: str, old: Fields, new: Fields) -> Iterator[Change]:
    yield from _field_changes(path, old, new, OPERATION_FIELDS, {"parameters", "response_schema", "idempotent"})
    before, after = bool(old.get("idempotent")), bool(new.get("idempotent"))
    if before != after:
        kind = ChangeKind.IDEMPOTENT_NOW if after else ChangeKind.IDEMPOTENT_NO_MORE
        yield Change(f"{path}/idempotent", kind, before, after)
    yield from schema_changes(
        f"{path}/response_schema", old.get("response_schema"), new.get("response_schema"), RESPONSE
    )
    parameters, others = _by(old.get("parameters"), "name"), _by(new.get("parameters"), "name")
    for name in [*parameters, *(n for n in others if n not in parameters)]:
        yield from _parameter_changes(f"{path}/parameters/{escape(name)}", parameters.get(name), others.get(name))


def _parameter_changes(path: str, old: Fields | None, new: Fields | None) -> Iterator[Change]:
    if new is None:
        yield Change(path, ChangeKind.PARAMETER_REMOVED, before=old)
        return
    if old is None:
        demanded = bool(new.get("required")) and new.get("default") is None
        kind = ChangeKind.REQUIRED_PARAMETER_ADDED if demanded else ChangeKind.OPTIONAL_PARAMETER_ADDED
        yield Change(path, kind, after=new)
        return
    yield from _field_changes(path, old, new, PARAMETER_FIELDS, {"required", "enum", "schema"})
    before, after = bool(old.get("required")), bool(new.get("required"))
    if before != after:
        kind = ChangeKind.PARAMETER_MADE_REQUIRED if after else ChangeKind.OTHER
        yield Change(f"{path}/required", kind, before, after)
    yield from enum_changes(f"{path}/enum", old.get("enum"), new.get("enum"), ChangeKind.ENUM_VALUE_REMOVED)
    yield from schema_changes(f"{path}/schema", old.get("schema") or {}, new.get("schema") or {}, PARAMETER)


def _by(items: Iterable[Fields] | None, key: str) -> dict[str, Fields]:
    return {str(item[key]): item for item in items or ()}
