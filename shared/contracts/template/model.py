"""The template document as typed models.

Field descriptions are the hover texts of the exported JSON Schema. The models hold what one field can say about
itself; what concerns several fields at once stands in `rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    WithJsonSchema,
    model_validator,
)

from shared.contracts.backoff import RetryBackoff
from shared.contracts.names import SLUG_PATTERN, TOKEN_PATTERN
from shared.contracts.template.slugs import slugify

ConnectorType = Literal["General", "OEM", "DMS", "CRM", "Finance", "Telematics", "Logistics"]
AuthType = Literal["none", "api_key", "basic", "oauth2", "bearer"]
CredentialType = Literal["string", "password"]
GrantType = Literal["client_credentials", "authorization_code"]
TokenAuthMethod = Literal["basic", "post"]
ScopeSeparator = Literal["space", "comma"]
Method = Literal["GET", "POST", "PUT", "DELETE", "PATCH"]
Location = Literal["query", "path", "header", "body"]
ValueType = Literal["string", "number", "integer", "boolean", "array", "object"]
BodyEncoding = Literal["json", "form", "multipart"]

METHODS: Final[tuple[str, ...]] = get_args(Method)
IDEMPOTENT_METHODS: Final = frozenset({"GET", "PUT", "DELETE"})
DEFAULT_HEADER_NAME: Final = "X-API-Key"
EXTENSION_PREFIX: Final = "x-"


def _whole(value: object) -> object:
    """JSON has one kind of number: 3.0 is the integer 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _scope_list(value: object) -> object:
    return value.split() if isinstance(value, str) else value


Name = Annotated[str, Field(min_length=1, max_length=100)]
Text = Annotated[str, Field(max_length=4000)]
Url = Annotated[str, Field(min_length=1, max_length=2000)]
FieldName = Annotated[str, Field(min_length=1, max_length=128)]
AS_WHOLE: Final = BeforeValidator(_whole)
Schema = Annotated[dict[str, Any], WithJsonSchema({"$ref": "https://json-schema.org/draft/2020-12/schema"})]
Scopes = Annotated[
    list[str],
    BeforeValidator(_scope_list),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
FormFields = Annotated[dict[FieldName, Annotated[str, Field(max_length=2000)]], Field(max_length=20)]

TimeoutSeconds = Annotated[float, Field(ge=0.1, le=300)]
MaxRetries = Annotated[int, Field(ge=0, le=10), AS_WHOLE]
RetryDelaySeconds = Annotated[float, Field(ge=0, le=60)]
RateLimitPerMinute = Annotated[int, Field(ge=0, le=100_000), AS_WHOLE]
CircuitBreakerThreshold = Annotated[int, Field(ge=0, le=1000), AS_WHOLE]
CircuitBreakerRecoverySeconds = Annotated[float, Field(ge=1, le=3600)]


class Part(BaseModel):
    """A mapping of the document. Unknown names are refused; those that start with `x-` are kept aside."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    _extensions: dict[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _set_extensions_aside(cls, value: Any, handler: ModelWrapValidatorHandler[Part]) -> Part:
        if not isinstance(value, dict):
            return handler(value)
        extensions = {key: item for key, item in value.items() if key.startswith(EXTENSION_PREFIX)}
        if not extensions:
            return handler(value)
        part = handler({key: item for key, item in value.items() if key not in extensions})
        part._extensions = extensions  # noqa: SLF001 - the instance that was just made
        return part

    @property
    def extensions(self) -> Mapping[str, Any]:
        """The `x-` names of this mapping, which mean nothing to the product."""
        return self._extensions


class CredentialField(Part):
    """One value that a connection must bring."""

    label: Name = Field(description="What people see beside the input.", examples=["API Key"])
    type: CredentialType = Field("string", description="`password` hides the input and is always sensitive.")
    required: bool = Field(True, description="Whether a connection must fill it.")
    sensitive: bool = Field(False, description="Sealed when it is entered and never shown again.")
    help: Text | None = Field(None, description="Where to find the value.")
    default: str | None = Field(None, description="What the input starts with; not for sensitive fields.")


class Parameter(Part):
    """One value that a caller gives to an operation."""

    name: FieldName = Field(description="The name in the request, and in the call.", examples=["q"])
    location: Location = Field(description="Where the value goes: query, path, header or body.")
    type: ValueType = Field("string", description="The type of the value. Arrays: query and body; objects: body.")
    required: bool = Field(False, description="Whether a caller must give it. Path parameters always are.")
    default: Any = Field(None, description="Sent where the caller gives nothing.")
    description: Text = Field("", description="What the value means, for people.")
    enum: list[Any] | None = Field(None, min_length=1, max_length=1000, description="The only values allowed.")
    sensitive: bool = Field(False, description="Kept out of logs, traces and test histories.")
    value_schema: Schema | None = Field(None, alias="schema", description="JSON Schema 2020-12 of the value.")
    whole_body: bool = Field(False, description="The value is the whole request body; then it is the only body one.")

    @property
    def has_default(self) -> bool:
        return self.default is not None

    @property
    def is_required(self) -> bool:
        """True where a request without this parameter is refused."""
        return (self.required or self.location == "path") and not self.has_default


class ResilienceOverride(Part):
    """What an operation does otherwise than its template; what is left out stays as the template has it."""

    timeout_seconds: TimeoutSeconds | None = Field(None, description="Limit of one attempt, in seconds.")
    max_retries: MaxRetries | None = Field(None, description="Repeats after the first attempt; 0 = none.")
    retry_delay_seconds: RetryDelaySeconds | None = Field(None, description="Delay before the first repeat.")
    retry_backoff: RetryBackoff | None = Field(None, description="How the delay grows from repeat to repeat.")
    rate_limit_per_minute: RateLimitPerMinute | None = Field(None, description="Calls a minute; 0 = unlimited.")
    circuit_breaker_threshold: CircuitBreakerThreshold | None = Field(
        None, description="Failures in a row that open the circuit; 0 = never."
    )
    circuit_breaker_recovery_seconds: CircuitBreakerRecoverySeconds | None = Field(
        None, description="How long an open circuit waits before one test request."
    )


class Resilience(Part):
    """How the executor behaves when the external system is slow, limits calls, or fails."""

    timeout_seconds: TimeoutSeconds = Field(30.0, description="Limit of one attempt, in seconds.")
    max_retries: MaxRetries = Field(3, description="Repeats after the first attempt; 0 = none.")
    retry_delay_seconds: RetryDelaySeconds = Field(1.0, description="Delay before the first repeat, in seconds.")
    retry_backoff: RetryBackoff = Field("exponential", description="How the delay grows from repeat to repeat.")
    rate_limit_per_minute: RateLimitPerMinute = Field(60, description="Calls a minute; 0 = unlimited.")
    circuit_breaker_threshold: CircuitBreakerThreshold = Field(
        5, description="Failures in a row that open the circuit; 0 = never."
    )
    circuit_breaker_recovery_seconds: CircuitBreakerRecoverySeconds = Field(
        30.0, description="How long an open circuit waits before one test request, in seconds."
    )

    def overridden(self, override: ResilienceOverride | None) -> Resilience:
        """This with what `override` says."""
        return self.model_copy(update=override.model_dump(exclude_none=True)) if override else self


class Operation(Part):
    """One HTTP call that the connector offers."""

    operation: str = Field(
        pattern=TOKEN_PATTERN, description="The identifier that callers use.", examples=["get_current_weather"]
    )
    display_name: Name | None = Field(None, description="What people see; by default the identifier.")
    description: Text = Field("", description="What the operation does. Publishing needs it.")
    method: Method = Field(description="The HTTP method.", examples=["GET"])
    path: Url = Field(
        description="Appended to base_url; `{name}` stands for a path parameter.", examples=["/users/{id}"]
    )
    parameters: list[Parameter] = Field(
        default_factory=list, max_length=500, description="The values that a caller gives. Others are refused."
    )
    body_encoding: BodyEncoding = Field("json", description="How body parameters are sent.")
    response_schema: Schema | None = Field(
        None, description="JSON Schema 2020-12 of a successful response. Publishing to the catalogue needs it."
    )
    idempotent: bool = Field(
        False, description="Sending it twice does no more than sending it once. GET, PUT and DELETE always count so."
    )
    idempotency_header: FieldName | None = Field(
        None, description="Header by which the system knows a repeat, with one key for all attempts."
    )
    health_check: bool = Field(False, description="This operation tells whether a connection works; at most one.")
    sample: dict[str, Any] | None = Field(None, description="Example parameter values, which tests use.")
    resilience: ResilienceOverride | None = Field(None, description="What is otherwise for this operation.")

    @property
    def title(self) -> str:
        """What people see."""
        return self.display_name or self.operation

    @property
    def idempotent_effective(self) -> bool:
        """True where an attempt that may have arrived can be repeated."""
        return self.method in IDEMPOTENT_METHODS or self.idempotent or self.idempotency_header is not None

    def resilience_effective(self, template: Template) -> Resilience:
        """The template's resilience with this operation's own on top."""
        return template.resilience.overridden(self.resilience)


class Overview(Part):
    """Who the external system is."""

    name: Name = Field(description="The connector's name, for people.", examples=["OpenWeatherMap"])
    slug: str = Field(
        default_factory=lambda data: slugify(data["name"]),
        pattern=SLUG_PATTERN,
        description="The connector's name in calls; made from `name` when left out, fixed once published.",
        examples=["openweathermap"],
    )
    type: ConnectorType = Field("General", description="The kind of system.")
    description: Text = Field("", description="What the system is and does. Publishing needs it.")
    base_url: Url = Field(
        description="Where all paths start. `{field}` stands for a credential field that is not sensitive.",
        examples=["https://api.example.com"],
    )
    documentation_url: Url | None = Field(None, description="The system's own API documentation.")
    icon: str | None = Field(None, description="PNG or SVG, up to 256 KiB: a `data:` URL or a file beside the YAML.")


class ExpiredToken(Part):
    """How a system says that an access token is no longer good, where it does not answer 401."""

    status_codes: list[Annotated[int, Field(ge=100, le=599), AS_WHOLE]] = Field(
        default_factory=list, max_length=20, description="Statuses that say so; left out, any status."
    )
    body_field: FieldName | None = Field(
        None, description="Where the response's JSON says so: names with dots between.", examples=["error.code"]
    )
    body_values: list[Any] = Field(default_factory=list, max_length=50, description="What stands in `body_field` then.")


class Auth(Part):
    """How requests are authenticated, and what a connection must bring for it."""

    auth_type: AuthType = Field(description="How requests are authenticated.", examples=["api_key", "none"])
    credential_schema: dict[str, CredentialField] | None = Field(
        None,
        max_length=50,
        description="The fields of a connection, by name. Left out, the auth type's own fields are used.",
    )
    header_name: FieldName | None = Field(None, description="api_key: the header; X-API-Key by default.")
    query_parameter: FieldName | None = Field(None, description="api_key: the query parameter, in place of a header.")
    key_prefix: Annotated[str, Field(max_length=100)] | None = Field(
        None, description="api_key: goes before the value, as it is."
    )
    grant_type: GrantType | None = Field(None, description="oauth2: how tokens are granted.")
    scopes: Scopes = Field(default_factory=list, description="oauth2: a list, or a string with spaces between.")
    token_url: Url | None = Field(None, description="oauth2: the token endpoint, unless it is a credential field.")
    authorization_url: Url | None = Field(
        None, description="oauth2: the authorization endpoint, unless it is a credential field."
    )
    token_auth_method: TokenAuthMethod = Field(
        "basic", description="oauth2: the client authenticates by HTTP basic or in the posted form."
    )
    pkce: bool = Field(True, description="oauth2, authorization_code: proof of possession (S256).")
    scope_separator: ScopeSeparator = Field(
        "space", description="oauth2: what stands between scopes when they are sent."
    )
    token_parameters: FormFields = Field(
        default_factory=dict,
        description="oauth2: more form fields of every token request. `{field}` stands for a credential field that is "
        "not sensitive.",
        examples=[{"audience": "https://api.example.com"}],
    )
    authorization_parameters: FormFields = Field(
        default_factory=dict, description="oauth2, authorization_code: more parameters of the authorization request."
    )
    expired_token: ExpiredToken | None = Field(
        None, description="oauth2: how the system says that an access token has expired, besides 401."
    )


class Template(Auth, Overview):
    """A connector template: the whole document."""

    operations: list[Operation] = Field(
        default_factory=list, max_length=10_000, description="What callers can do with the system."
    )
    resilience: Resilience = Field(
        default_factory=Resilience, description="Behaviour on failure, for all operations unless they say otherwise."
    )

    def operation(self, name: str) -> Operation | None:
        """The operation of this name; None where there is none."""
        return next((operation for operation in self.operations if operation.operation == name), None)

    def credential_fields(self) -> dict[str, CredentialField]:
        """The fields that a connection has, with the auth type's own by default and `sensitive` as it counts."""
        fields = DEFAULT_CREDENTIALS[self.auth_type] if self.credential_schema is None else self.credential_schema
        secrets = SECRET_FIELDS[self.auth_type]
        return {
            name: field.model_copy(update={"sensitive": field.sensitive or field.type == "password" or name in secrets})
            for name, field in fields.items()
        }

    def sensitive_fields(self) -> frozenset[str]:
        """Names of the credential fields that are sealed."""
        return frozenset(name for name, field in self.credential_fields().items() if field.sensitive)

    def api_key_field(self) -> str | None:
        """The credential field that holds the key: `api_key`, or the single sensitive one; None for other types."""
        if self.auth_type != "api_key":
            return None
        sensitive = self.sensitive_fields().difference(CLIENT_CERTIFICATE)
        return "api_key" if "api_key" in self.credential_fields() else next(iter(sensitive), None)

    def scope_text(self) -> str:
        """The scopes as a token request carries them."""
        return SCOPE_SEPARATORS[self.scope_separator].join(self.scopes)

    def credential_header(self) -> str | None:
        """The request header that carries the credential, which no caller may set; None where there is none."""
        return credential_header(self.auth_type, self.header_name, self.query_parameter)


def credential_header(auth_type: str, header_name: str | None, query_parameter: str | None) -> str | None:
    """The header of an auth type; see `Template.credential_header`."""
    if auth_type == "api_key":
        return None if query_parameter else header_name or DEFAULT_HEADER_NAME
    return None if auth_type == "none" else "Authorization"


SCOPE_SEPARATORS: Final[Mapping[ScopeSeparator, str]] = {"space": " ", "comma": ","}


def _field(label: str, *, secret: bool = False) -> CredentialField:
    return CredentialField(
        label=label, type="password" if secret else "string", sensitive=secret, required=True, help=None, default=None
    )


_OAUTH2: Final = {"client_id": _field("Client ID"), "client_secret": _field("Client secret", secret=True)}

DEFAULT_CREDENTIALS: Final[Mapping[str, Mapping[str, CredentialField]]] = {
    "none": {},
    "api_key": {"api_key": _field("API key", secret=True)},
    "basic": {"username": _field("User name"), "password": _field("Password", secret=True)},
    "bearer": {"token": _field("Token", secret=True)},
    "oauth2": _OAUTH2,
}
"""The credential fields of a template that has no credential_schema."""

CLIENT_CERTIFICATE: Final = ("client_certificate", "client_key")
"""Credential names that mean the same for every auth type: PEM with which a connection presents itself in TLS."""

SECRET_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "none": frozenset({"client_key"}),
    "api_key": frozenset({"api_key", "client_key"}),
    "basic": frozenset({"password", "client_key"}),
    "bearer": frozenset({"token", "client_key"}),
    "oauth2": frozenset({"client_secret", "client_key"}),
}
"""Credential names that are sensitive whatever the schema says."""

NEEDED_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "none": (),
    "api_key": (),
    "basic": ("username", "password"),
    "bearer": ("token",),
    "oauth2": ("client_id",),
}
"""Credential names that a written schema of the auth type must hold."""
