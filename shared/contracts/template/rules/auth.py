"""Rules about how requests are authenticated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from shared.contracts.template.address import PLACEHOLDER
from shared.contracts.template.model import (
    CLIENT_CERTIFICATE,
    DEFAULT_CREDENTIALS,
    NEEDED_FIELDS,
    SECRET_FIELDS,
    credential_header,
)
from shared.contracts.template.node import Node
from shared.contracts.template.problems import Problem, one_of, shown

FIELD_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
"""token of RFC 9110, section 5.6.2."""
RESERVED_HEADERS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})

BELONGS_TO: Final[Mapping[str, tuple[str, ...]]] = {
    "header_name": ("api_key",),
    "query_parameter": ("api_key",),
    "key_prefix": ("api_key",),
    "grant_type": ("oauth2",),
    "scopes": ("oauth2",),
    "token_url": ("oauth2",),
    "authorization_url": ("oauth2",),
    "token_auth_method": ("oauth2",),
    "pkce": ("oauth2",),
    "scope_separator": ("oauth2",),
    "token_parameters": ("oauth2",),
    "authorization_parameters": ("oauth2",),
    "expired_token": ("oauth2",),
}
"""Fields that mean something for some auth types only."""


PARAMETER_TABLES: Final = ("token_parameters", "authorization_parameters")
"""oauth2: mappings whose values may hold placeholders."""


def auth_type_of(document: Node) -> str | None:
    """The auth type where it is a known one."""
    auth_type = document.text("auth_type")
    return auth_type if auth_type in DEFAULT_CREDENTIALS else None


def written_fields(document: Node) -> list[str] | None:
    """Names of the credential fields, defaults included; None where the document does not tell."""
    if document.has("credential_schema"):
        return [name for name, _ in document.entries("credential_schema")]
    auth_type = auth_type_of(document)
    return list(DEFAULT_CREDENTIALS[auth_type]) if auth_type else None


def parameter_placeholders(document: Node) -> set[str]:
    """The credential fields that parameters of oauth2 requests are filled from."""
    values = (value.value for table in PARAMETER_TABLES for _, value in document.entries(table))
    return {name for value in values if isinstance(value, str) for name in PLACEHOLDER.findall(value)}


def sensitive_names(document: Node) -> frozenset[str]:
    """The credential fields that count as sensitive."""
    secrets = SECRET_FIELDS.get(auth_type_of(document) or "", frozenset())
    if not document.has("credential_schema"):
        return secrets
    return frozenset(
        name
        for name, field in document.entries("credential_schema")
        if name in secrets or field.text("type") == "password" or field.flag("sensitive")
    )


def header_of_credential(document: Node) -> str | None:
    """The header that carries the credential, in lower case."""
    auth_type = auth_type_of(document)
    if auth_type is None:
        return None
    header = credential_header(auth_type, document.text("header_name"), document.text("query_parameter"))
    return header.lower() if header else None


def fields_belong_to_the_auth_type(document: Node) -> Iterator[Problem]:
    auth_type = auth_type_of(document)
    if auth_type is None:
        return
    for field, types in BELONGS_TO.items():
        if document.has(field) and auth_type not in types:
            yield Problem(
                document.at(field),
                f"`{field}` means nothing for auth_type {auth_type}.",
                f"Take it out, or use auth_type {one_of(types)}.",
            )


def field_names_are_identifiers(document: Node) -> Iterator[Problem]:
    for name, field in document.entries("credential_schema"):
        if not FIELD_NAME.match(name):
            yield Problem(
                field.path,
                f"{shown(name)} is not a name for a credential field.",
                "Start with a letter a-z and go on with at most 62 of a-z, 0-9 and '_'.",
            )


def needed_fields_are_there(document: Node) -> Iterator[Problem]:
    auth_type = auth_type_of(document)
    if auth_type is None or not document.has("credential_schema"):
        return
    fields, path = written_fields(document) or [], document.at("credential_schema")
    needed = list(NEEDED_FIELDS[auth_type])
    if auth_type == "oauth2" and document.text("grant_type") == "client_credentials":
        needed.append("client_secret")
    for name in needed:
        if name not in fields:
            yield Problem(
                path,
                f"auth_type {auth_type} needs the field `{name}`.",
                f"Add `{name}`, or leave credential_schema out.",
            )
    sensitive = sensitive_names(document).difference(CLIENT_CERTIFICATE)
    if auth_type == "api_key" and "api_key" not in fields and len(sensitive) != 1:
        yield Problem(
            path,
            "It is not clear which field is the key.",
            "Name it `api_key`, or have exactly one sensitive field.",
        )


def client_certificate_has_its_key(document: Node) -> Iterator[Problem]:
    fields = written_fields(document) or []
    present = [name for name in CLIENT_CERTIFICATE if name in fields]
    path = document.at("credential_schema")
    if len(present) == 1:
        missing = next(name for name in CLIENT_CERTIFICATE if name not in fields)
        yield Problem(path, f"`{present[0]}` is of no use without `{missing}`.", "Have both fields, or neither.")
    elif present and (document.text("base_url") or "").lower().startswith("http://"):
        yield Problem(path, "A client certificate is presented in TLS, and base_url is plain http.", "Use https.")


def secrets_are_sensitive(document: Node) -> Iterator[Problem]:
    secrets = SECRET_FIELDS.get(auth_type_of(document) or "", frozenset())
    for name, field in document.entries("credential_schema"):
        if name in secrets and field.child("sensitive").value is False and field.text("type") != "password":
            yield Problem(
                field.at("sensitive"), f"`{name}` is a secret.", "Write `sensitive: true`, or take the line out."
            )


def secrets_have_no_default(document: Node) -> Iterator[Problem]:
    for name, field in document.entries("credential_schema"):
        if name in sensitive_names(document) and field.has("default"):
            yield Problem(
                field.at("default"),
                f"The sensitive field `{name}` has a default, and templates are not secret.",
                "Take the default out, and change that secret if it is a real one.",
            )


def key_goes_to_one_place(document: Node) -> Iterator[Problem]:
    if document.has("header_name") and document.has("query_parameter"):
        yield Problem(
            document.at("query_parameter"), "The key cannot go to a header and to the query.", "Keep one of the two."
        )


def header_name_is_usable(document: Node) -> Iterator[Problem]:
    yield from unusable_header(document.child("header_name"))
    prefix = document.text("key_prefix")
    if prefix and not prefix.isprintable():
        yield Problem(document.at("key_prefix"), "The prefix holds a control character.", "Take it out.")


def unusable_header(node: Node) -> Iterator[Problem]:
    """A problem where a header name cannot stand in a request, or is not ours to set."""
    if not isinstance(node.value, str):
        return
    if not HEADER_NAME.match(node.value):
        yield Problem(
            node.path,
            f"{shown(node.value)} is not a header name.",
            "Use letters, digits and hyphens, as X-API-Key.",
        )
    elif node.value.lower() in RESERVED_HEADERS:
        yield Problem(node.path, f"The header {node.value} is set by the HTTP client alone.", "Use another header.")


def password_called_not_sensitive(document: Node) -> Iterator[Problem]:
    for _, field in document.entries("credential_schema"):
        if field.text("type") == "password" and field.child("sensitive").value is False:
            yield Problem(
                field.at("sensitive"), "A password is always sensitive.", "Write `sensitive: true`, or type string."
            )


def field_without_use(document: Node) -> Iterator[Problem]:
    auth_type = auth_type_of(document)
    base_url = document.text("base_url")
    if auth_type is None or base_url is None:
        return
    used = {*DEFAULT_CREDENTIALS[auth_type], *CLIENT_CERTIFICATE, *PLACEHOLDER.findall(base_url)}
    if auth_type == "oauth2":
        used |= {"token_url", "authorization_url", *parameter_placeholders(document)}
    if auth_type == "api_key" and "api_key" not in (written_fields(document) or []):
        used |= sensitive_names(document)
    for name, field in document.entries("credential_schema"):
        if name not in used and FIELD_NAME.match(name):
            yield Problem(
                field.path,
                f"The credential field `{name}` is used nowhere.",
                f"Use it in base_url as {{{name}}}, or take it out.",
            )
