"""Rules about oauth2: the endpoints, what is asked for, and how an expired token is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from shared.contracts.template.address import PLACEHOLDER, AddressError, parse_fixed_url
from shared.contracts.template.node import Node
from shared.contracts.template.problems import Problem, shown
from shared.contracts.template.rules.auth import PARAMETER_TABLES, auth_type_of, sensitive_names, written_fields

RESERVED_PARAMETERS: Final[Mapping[str, frozenset[str]]] = {
    "token_parameters": frozenset(
        {
            *("grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type", "scope"),
            *("code", "code_verifier", "redirect_uri", "refresh_token"),
        }
    ),
    "authorization_parameters": frozenset(
        {
            *("response_type", "client_id", "redirect_uri", "scope", "state"),
            *("code_challenge", "code_challenge_method", "response_mode"),
        }
    ),
}
"""Parameters that the product sets by itself."""


def oauth2_is_complete(document: Node) -> Iterator[Problem]:
    if auth_type_of(document) != "oauth2":
        return
    fields = written_fields(document) or []
    grant = document.text("grant_type")
    if not document.has("grant_type"):
        yield Problem(
            document.at("grant_type"), "oauth2 needs `grant_type`.", "Write client_credentials or authorization_code."
        )
    needed = ["token_url", "authorization_url"] if grant == "authorization_code" else ["token_url"]
    for url in needed:
        if not document.has(url) and url not in fields:
            yield Problem(
                document.at(url),
                f"The grant needs `{url}`.",
                f"Write `{url}`, or add a credential field of this name.",
            )


def oauth2_urls_are_usable(document: Node) -> Iterator[Problem]:
    urls = [document.child(name) for name in ("token_url", "authorization_url")]
    urls += [
        field.child("default")
        for name, field in document.entries("credential_schema")
        if name in {"token_url", "authorization_url"}
    ]
    for url in urls:
        if isinstance(url.value, str) and url.value:
            try:
                parse_fixed_url(url.value)
            except AddressError as error:
                yield Problem(url.path, error.problem, error.mend)


def fixed_urls_stand_once(document: Node) -> Iterator[Problem]:
    for name, field in document.entries("credential_schema"):
        if name in {"token_url", "authorization_url"} and document.has(name):
            yield Problem(
                field.path,
                f"`{name}` is fixed by the template and asked from the connection as well.",
                "Keep one of the two.",
            )


def scopes_are_tokens(document: Node) -> Iterator[Problem]:
    scopes = document.child("scopes")
    if isinstance(scopes.value, list):
        for index, scope in enumerate(scopes.value):
            if isinstance(scope, str) and (not scope or not scope.isprintable() or " " in scope):
                yield Problem(scopes.at(index), f"{shown(scope)} is not one scope.", "Write each scope by itself.")


def scopes_hold_no_separator(document: Node) -> Iterator[Problem]:
    """Text may have the commas where they will be sent; elements of a list have none."""
    scopes = document.child("scopes")
    if document.text("scope_separator") != "comma":
        return
    if isinstance(scopes.value, str):
        if not all(",".join(scopes.value.split()).split(",")):
            yield Problem(scopes.path, "A comma has no scope beside it.", "Write spaces alone, or commas alone.")
        return
    for index, scope in enumerate(scopes.value if isinstance(scopes.value, list) else ()):
        if isinstance(scope, str) and "," in scope:
            yield Problem(
                scopes.at(index),
                f"{shown(scope)} holds the comma that separates scopes.",
                "Write each scope by itself.",
            )


def parameters_are_free_to_set(document: Node) -> Iterator[Problem]:
    for table, reserved in RESERVED_PARAMETERS.items():
        for name, value in document.entries(table):
            if name in reserved:
                yield Problem(
                    value.path, f"{shown(name)} is set by the product.", "Take it out; other parameters may be added."
                )


def parameter_values_can_be_filled(document: Node) -> Iterator[Problem]:
    fields, secrets = written_fields(document), sensitive_names(document)
    for table in PARAMETER_TABLES:
        for _, value in document.entries(table):
            if not isinstance(value.value, str):
                continue
            literal = PLACEHOLDER.sub("", value.value)
            if "{" in literal or "}" in literal:
                yield Problem(value.path, "A brace has no partner.", "Write placeholders as {name}.")
            if not literal.isprintable():
                yield Problem(value.path, "The value holds a control character.", "Take it out.")
            for name in PLACEHOLDER.findall(value.value):
                if fields is not None and name not in fields:
                    yield Problem(
                        value.path,
                        f"There is no credential field {shown(name)}.",
                        f"Add `{name}` to credential_schema.",
                    )
                elif name in secrets:
                    yield Problem(
                        value.path,
                        f"The credential field `{name}` is sensitive.",
                        "Use a field that is not: parameters may be shown and logged.",
                    )


def authorization_parameters_have_a_use(document: Node) -> Iterator[Problem]:
    if document.has("authorization_parameters") and document.text("grant_type") == "client_credentials":
        yield Problem(
            document.at("authorization_parameters"),
            "client_credentials has no authorization request.",
            "Take it out, or mean `token_parameters`.",
        )


def expired_token_can_be_told(document: Node) -> Iterator[Problem]:
    signal = document.child("expired_token")
    if not isinstance(signal.value, dict):
        return
    statuses = signal.get("status_codes") if signal.has("status_codes") else []
    values = signal.get("body_values") if signal.has("body_values") else []
    field = signal.text("body_field")
    if not signal.has("body_field"):
        if values:
            yield Problem(signal.at("body_values"), "No `body_field` holds these values.", "Add `body_field`.")
        if not statuses:
            yield Problem(
                signal.path, "Nothing here says when a token has expired.", "Write status_codes, body_field or both."
            )
        elif isinstance(statuses, list) and any(isinstance(code, int) and 200 <= code < 300 for code in statuses):
            yield Problem(
                signal.at("status_codes"),
                "Every success would count as an expired token.",
                "Add `body_field` and `body_values`, or take the status out.",
            )
        return
    if not values:
        yield Problem(
            signal.at("body_values"), "`body_field` needs the values that mean expired.", "Write a list of them."
        )
    if field is not None and not all(field.split(".")):
        yield Problem(
            signal.at("body_field"), f"{shown(field)} is not a path.", "Write names with dots, as error.code."
        )
    for index, value in enumerate(values if isinstance(values, list) else ()):
        if not isinstance(value, str | int | float):
            yield Problem(
                f"{signal.at('body_values')}/{index}",
                f"{shown(value)} is neither text nor a number nor true or false.",
                "Write the value as the system sends it.",
            )


def pkce_switched_off(document: Node) -> Iterator[Problem]:
    if document.child("pkce").value is False and document.text("grant_type") == "authorization_code":
        yield Problem(
            document.at("pkce"), "Without PKCE an intercepted code can be used by others.", "Take the line out."
        )
