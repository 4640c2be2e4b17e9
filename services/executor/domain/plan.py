"""Plans: a template compiled into what an execution needs, small enough that a worker keeps thousands.

Names, descriptions and help stay in the document. Everything that can be settled once is: the path is split, query
names are encoded, defaults and operation overrides are merged, schemas are packed until something is checked.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from shared.contracts.backoff import RetryBackoff

AuthKind = Literal["none", "api_key", "basic", "bearer", "oauth2"]
Location = Literal["path", "query", "header", "body"]
ParameterType = Literal["string", "number", "integer", "boolean", "array", "object"]
BodyEncoding = Literal["json", "form", "multipart", "whole"]
GrantType = Literal["client_credentials", "authorization_code"]
TokenAuthMethod = Literal["basic", "post"]


class ExpiredPlan(msgspec.Struct, frozen=True, gc=False):
    """How a response says that its access token is no longer good, besides 401: see `domain.oauth.says_expired`.

    `path` leads to the field of its JSON that has one of `values` then; empty where the status alone says so.
    """

    statuses: tuple[int, ...] = ()
    path: tuple[str, ...] = ()
    values: tuple[str | int | float | bool, ...] = ()


class OAuthPlan(msgspec.Struct, frozen=True, gc=False):
    """What is asked of which token endpoint. `token_url` is empty where it is a credential field.

    Values of `parameters`, further form fields of every token request, may hold `{field}` placeholders.
    """

    grant: GrantType
    token_url: str
    client_auth: TokenAuthMethod
    scopes: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    pkce: bool = True
    expired: ExpiredPlan = ExpiredPlan()


class AuthPlan(msgspec.Struct, frozen=True, gc=False):
    """How credentials travel. `fields` are the credential fields that are sent, in the kind's own order.

    `header` is the credential's own header, empty where it goes to the query. `certificate` is true where the
    credential fields hold a client certificate. `oauth` is there for oauth2 alone.
    """

    kind: AuthKind
    fields: tuple[str, ...] = ()
    header: str = ""
    prefix: str = ""
    query_parameter: str = ""
    certificate: bool = False
    oauth: OAuthPlan | None = None


class CredentialPlan(msgspec.Struct, frozen=True, gc=False):
    """One field of the credential schema."""

    name: str
    required: bool
    sensitive: bool
    default: str | None


class ParameterPlan(msgspec.Struct, frozen=True, gc=False):
    """One parameter. `key` is its encoded `name=` for a query; `schema` is a packed JSON Schema."""

    name: str
    location: Location
    type: ParameterType
    required: bool
    key: str
    default: Any = msgspec.UNSET
    enum: tuple[Any, ...] | None = None
    schema: bytes | None = None


class ResiliencePlan(msgspec.Struct, frozen=True, gc=False):
    """The numbers of DIBOP's resilience; delays and times in seconds."""

    timeout_seconds: float
    max_retries: int
    retry_delay_seconds: float
    retry_backoff: RetryBackoff
    rate_limit_per_minute: int
    circuit_breaker_threshold: int
    circuit_breaker_recovery_seconds: float


class OperationPlan(msgspec.Struct, frozen=True, gc=False):
    """One operation. The path is `literals[0] + path_names[0]'s value + literals[1] + …`.

    `scoped` is true where the operation overrides rate or circuit, and so has a state of its own; `rated` where it
    overrides the rate. `sensitive` names the parameters whose values are secrets.
    """

    name: str
    method: str
    literals: tuple[str, ...]
    path_names: tuple[str, ...]
    parameters: tuple[ParameterPlan, ...]
    body_encoding: BodyEncoding | None
    idempotent: bool
    idempotency_header: str | None
    response_schema: bytes | None
    resilience: ResiliencePlan
    scoped: bool = False
    rated: bool = False
    sensitive: tuple[str, ...] = ()


class HealthCheck(msgspec.Struct, frozen=True, gc=False):
    """The operation that tells whether a connection works, and the values it is asked with."""

    operation: str
    sample: dict[str, Any]


class ConnectorPlan(msgspec.Struct, frozen=True, gc=False):
    """One version of a connector. `base_url` may carry `{field}` placeholders."""

    slug: str
    base_url: str
    auth: AuthPlan
    credential_fields: tuple[CredentialPlan, ...]
    operations: dict[str, OperationPlan]
    resilience: ResiliencePlan
    health_check: HealthCheck | None = None
