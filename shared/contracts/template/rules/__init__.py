"""The rules of the template, as tables: what each looks at, and whether breaking it is an error or a warning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from shared.contracts.template.node import Node
from shared.contracts.template.problems import Problem
from shared.contracts.template.rules import auth, document, oauth, operation, overview, parameter, resilience

Rule: TypeAlias = Callable[[Node], Iterable[Problem]]

AUTH_ERRORS: Final[Sequence[Rule]] = (
    auth.fields_belong_to_the_auth_type,
    auth.field_names_are_identifiers,
    auth.needed_fields_are_there,
    auth.client_certificate_has_its_key,
    auth.secrets_are_sensitive,
    auth.secrets_have_no_default,
    auth.key_goes_to_one_place,
    auth.header_name_is_usable,
    oauth.oauth2_is_complete,
    oauth.oauth2_urls_are_usable,
    oauth.fixed_urls_stand_once,
    oauth.scopes_are_tokens,
    oauth.scopes_hold_no_separator,
    oauth.parameters_are_free_to_set,
    oauth.parameter_values_can_be_filled,
    oauth.authorization_parameters_have_a_use,
    oauth.expired_token_can_be_told,
)
AUTH_WARNINGS: Final[Sequence[Rule]] = (
    auth.password_called_not_sensitive,
    auth.field_without_use,
    oauth.pkce_switched_off,
)

DOCUMENT_ERRORS: Final[Sequence[Rule]] = (
    overview.slug_can_be_made,
    overview.base_url_is_usable,
    overview.base_url_placeholders_are_fields,
    overview.documentation_url_is_usable,
    overview.icon_is_an_image,
    *AUTH_ERRORS,
    document.operation_names_differ,
    document.one_health_check,
    document.credential_header_is_left_alone,
    document.credential_query_is_left_alone,
)
DOCUMENT_WARNINGS: Final[Sequence[Rule]] = (
    overview.plain_http,
    *AUTH_WARNINGS,
    resilience.one_call_could_open_the_circuit,
    resilience.retries_come_before_the_deadline,
    resilience.permits_come_before_the_deadline,
    document.names_that_look_alike,
)

OPERATION_ERRORS: Final[Sequence[Rule]] = (
    operation.path_is_usable,
    operation.placeholders_have_parameters,
    operation.parameter_names_differ,
    operation.whole_body_is_alone,
    operation.form_fields_are_flat,
    operation.idempotency_header_is_usable,
    operation.response_schema_is_valid,
    operation.sample_fits,
)
OPERATION_WARNINGS: Final[Sequence[Rule]] = (
    operation.body_on_get,
    operation.body_encoding_without_body,
    operation.sample_lacks_values,
    operation.health_check_changes_something,
)

PARAMETER_ERRORS: Final[Sequence[Rule]] = (
    parameter.name_suits_the_location,
    parameter.type_suits_the_location,
    parameter.schema_is_valid,
    parameter.enum_fits,
    parameter.default_fits,
    parameter.path_is_required,
    parameter.whole_body_is_in_the_body,
)
PARAMETER_WARNINGS: Final[Sequence[Rule]] = (
    parameter.required_with_default,
    parameter.sensitive_with_default,
)


def document_errors(root: Node) -> Iterator[Problem]:
    yield from _apply(DOCUMENT_ERRORS, root)
    for each in root.items("operations"):
        yield from operation_errors(each)


def document_warnings(root: Node) -> Iterator[Problem]:
    yield from _apply(DOCUMENT_WARNINGS, root)
    for each in root.items("operations"):
        yield from operation_warnings(each)


def auth_errors(root: Node) -> Iterator[Problem]:
    return _apply(AUTH_ERRORS, root)


def auth_warnings(root: Node) -> Iterator[Problem]:
    return _apply(AUTH_WARNINGS, root)


def operation_errors(root: Node) -> Iterator[Problem]:
    yield from _apply(OPERATION_ERRORS, root)
    for each in root.items("parameters"):
        yield from _apply(PARAMETER_ERRORS, each)


def operation_warnings(root: Node) -> Iterator[Problem]:
    yield from _apply(OPERATION_WARNINGS, root)
    for each in root.items("parameters"):
        yield from _apply(PARAMETER_WARNINGS, each)


def _apply(rules: Sequence[Rule], node: Node) -> Iterator[Problem]:
    for rule in rules:
        yield from rule(node)
