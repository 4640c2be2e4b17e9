"""Compiling: from the document of a version, as the object store holds it, to its plan."""

from __future__ import annotations

import re
from collections.abc import Mapping
from sys import intern
from typing import Final, TypeVar, cast

import msgspec
from pydantic import ValidationError

from services.executor.domain.encoding import encode_component
from services.executor.domain.plan import (
    AuthPlan,
    BodyEncoding,
    ConnectorPlan,
    CredentialPlan,
    ExpiredPlan,
    HealthCheck,
    OAuthPlan,
    OperationPlan,
    ParameterPlan,
    ResiliencePlan,
)
from services.executor.domain.schemas import pack_schema
from shared.contracts.errors import DibopError
from shared.contracts.template.model import CLIENT_CERTIFICATE, Operation, Parameter, Resilience, Template
from shared.contracts.unreadable import UNREADABLE

P = TypeVar("P", ParameterPlan, bytes)
Alike = dict[bytes, ParameterPlan | bytes]

_SHARED_STATE: Final = frozenset(
    {"rate_limit_per_minute", "circuit_breaker_threshold", "circuit_breaker_recovery_seconds"}
)
"""What an operation cannot override without a list and a circuit of its own."""
_SENT_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "basic": ("username", "password"),
    "bearer": ("token",),
    "oauth2": ("client_id", "client_secret"),
}
"""The credential fields that an auth type sends, but for api_key, which has its own rule."""
_PLACEHOLDER: Final = re.compile(r"\{([^{}]+)\}")


def compile_document(document: bytes) -> ConnectorPlan:
    """The plan of a stored document; `internal` where this version of the executor cannot read it."""
    try:
        template = Template.model_validate(msgspec.json.decode(document))
    except (*UNREADABLE, ValidationError) as error:
        raise DibopError(
            "internal",
            "The stored template cannot be read by this executor: it was written by another version, or is damaged. "
            "Run executors and registry of one version, then repeat.",
        ) from error
    return compile_plan(template)


def compile_plan(template: Template) -> ConnectorPlan:
    """Keep of a template what executions need, as strings and numbers that nothing else holds on to."""
    resilience = _resilience(template.resilience)
    alike: Alike = {}
    operations = (_operation(operation, template, resilience, alike) for operation in template.operations)
    return ConnectorPlan(
        slug=template.slug,
        base_url=template.base_url,
        auth=_auth(template),
        credential_fields=tuple(
            CredentialPlan(intern(name), field.required, field.sensitive, field.default)
            for name, field in template.credential_fields().items()
        ),
        operations={operation.name: operation for operation in operations},
        resilience=resilience,
        health_check=next(
            (HealthCheck(each.operation, each.sample or {}) for each in template.operations if each.health_check), None
        ),
    )


def _auth(template: Template) -> AuthPlan:
    kind = template.auth_type
    fields = _SENT_FIELDS.get(kind, ())
    key = template.api_key_field()
    return AuthPlan(
        kind=kind,
        fields=(intern(key),) if key is not None else fields,
        header=intern(template.credential_header() or ""),
        prefix=template.key_prefix or "" if kind == "api_key" else "",
        query_parameter=template.query_parameter or "" if kind == "api_key" else "",
        certificate=CLIENT_CERTIFICATE[0] in template.credential_fields(),
        oauth=_oauth(template) if kind == "oauth2" else None,
    )


def _oauth(template: Template) -> OAuthPlan:
    if template.grant_type is None:
        raise ValueError("a template with oauth2 has passed the rules without a grant")
    expired = template.expired_token
    return OAuthPlan(
        grant=template.grant_type,
        token_url=template.token_url or "",
        client_auth=template.token_auth_method,
        scopes=template.scope_text(),
        parameters=tuple(template.token_parameters.items()),
        pkce=template.pkce,
        expired=ExpiredPlan(
            statuses=tuple(expired.status_codes),
            path=tuple(expired.body_field.split(".")) if expired.body_field else (),
            values=tuple(expired.body_values),
        )
        if expired is not None
        else ExpiredPlan(),
    )


def _operation(operation: Operation, template: Template, shared: ResiliencePlan, alike: Alike) -> OperationPlan:
    if not operation.path.startswith("/"):
        raise _other_host(operation)
    pieces = _PLACEHOLDER.split(operation.path)
    schema = operation.response_schema
    override = operation.resilience
    own = override.model_dump(exclude_none=True).keys() if override is not None else frozenset()
    return OperationPlan(
        name=operation.operation,
        method=intern(operation.method),
        literals=tuple(pieces[0::2]),
        path_names=tuple(intern(name) for name in pieces[1::2]),
        parameters=tuple(_once(_parameter(parameter), alike) for parameter in operation.parameters),
        body_encoding=_body_encoding(operation),
        idempotent=operation.idempotent_effective,
        idempotency_header=operation.idempotency_header,
        response_schema=None if schema is None else _once(pack_schema(schema), alike),
        resilience=_resilience(operation.resilience_effective(template)) if own else shared,
        scoped=not own.isdisjoint(_SHARED_STATE),
        rated="rate_limit_per_minute" in own,
        sensitive=tuple(intern(parameter.name) for parameter in operation.parameters if parameter.sensitive),
    )


def _other_host(operation: Operation) -> DibopError:
    """What is written right behind a host changes it. No template that was checked has such a path."""
    return DibopError(
        "egress-denied",
        f"The path of operation {operation.operation!r} does not start with a slash, so requests would go to "
        "another host. Publish a corrected version.",
        outcome="not_sent",
    )


def _once(part: P, alike: Alike) -> P:
    """The part that stands for all of its like: operations of one connector have many parameters and schemas alike."""
    return cast("P", alike.setdefault(msgspec.msgpack.encode(part), part))


def _parameter(parameter: Parameter) -> ParameterPlan:
    schema = parameter.value_schema
    return ParameterPlan(
        name=intern(parameter.name),
        location=parameter.location,
        type=parameter.type,
        required=parameter.is_required,
        key=intern(f"{encode_component(parameter.name)}=") if parameter.location == "query" else "",
        default=parameter.default if parameter.has_default else msgspec.UNSET,
        enum=tuple(parameter.enum) if parameter.enum is not None else None,
        schema=pack_schema(schema) if schema is not None else None,
    )


def _body_encoding(operation: Operation) -> BodyEncoding | None:
    body = [parameter for parameter in operation.parameters if parameter.location == "body"]
    if not body:
        return None
    return "whole" if body[0].whole_body else operation.body_encoding


def _resilience(resilience: Resilience) -> ResiliencePlan:
    return ResiliencePlan(**resilience.model_dump())
