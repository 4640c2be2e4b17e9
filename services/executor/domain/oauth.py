"""OAuth2 as rules: a connection as its token endpoint knows it, how long a token is used, how its end is told."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from services.executor.domain.auth import NO_CREDENTIALS, Credentials
from services.executor.domain.plan import ExpiredPlan, GrantType, OAuthPlan, TokenAuthMethod
from services.executor.domain.scope import Scope
from services.executor.transport.client_certificate import ClientCertificate
from services.executor.transport.interface import HttpResponse
from shared.contracts.errors import DibopError
from shared.contracts.projections import StoredToken
from shared.contracts.template.address import PLACEHOLDER, AddressError, parse_fixed_url
from shared.contracts.unreadable import UNREADABLE
from shared.security.sealing import SealContext

DEFAULT_LIFETIME: Final = 3600.0
"""Seconds that an access token is used for where the endpoint gives no lifetime that makes sense."""
MAX_LIFETIME: Final = 86_400.0
_EARLY: Final = (60.0, 0.1)
"""A token is renewed this many seconds before it ends, at most this part of its lifetime."""
_SPARE: Final = (5.0, 0.05)
"""The same for what is left of it when it is used no more: the way to the external system takes time."""
_MOST_SIGNAL_BYTES: Final = 65_536

ACCESS_TOKEN: Final = "access_token"
REFRESH_TOKEN: Final = "refresh_token"
GIVEN_FIELDS: Final = (ACCESS_TOKEN, REFRESH_TOKEN)
"""What the credentials of a test may hold besides the connector's fields: tokens that an authorization has brought."""


class TokenClient(msgspec.Struct, frozen=True, gc=False):
    """A connection, or a test session, as a client of its token endpoint. `credentials` grows with each rotation.

    `ask` is a digest of what is asked for, and of whom.

    `context` is what its tokens are sealed for, but for the field. `stored` is the refresh token as this connection's
    entry had it; `given` are the tokens that a test brings along, by their field.
    """

    scope: Scope
    context: SealContext
    grant: GrantType
    token_url: str
    client_auth: TokenAuthMethod
    client_id: str
    client_secret: str
    scopes: str
    parameters: tuple[tuple[str, str], ...]
    expired: ExpiredPlan
    credentials: int = 0
    certificate: ClientCertificate | None = None
    stored: StoredToken | None = None
    given: Mapping[str, str] = {}
    ask: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        key = f"{{{self.scope.enterprise}.{self.scope.connection}}}:{self.credentials}:{self.ask}"
        msgspec.structs.force_setattr(self, "key", key)

    def __repr__(self) -> str:
        """Tell no secret."""
        return f"TokenClient({self.key})"

    @property
    def generation(self) -> int:
        """The generation of the refresh token that the entry had, 0 for none."""
        return self.stored.generation if self.stored is not None else 0

    @property
    def secrets(self) -> tuple[str, ...]:
        return (*filter(None, (self.client_secret,)), *self.given.values())


class AccessToken(msgspec.Struct, frozen=True, gc=False):
    """A token in use. Its times are of `monotonic`; `id` tells it from others without telling what it is.

    `generation` is that of the refresh token that was stored when it was made. `credentials` follow from the value;
    `beside` are further secrets that replies must not hold.
    """

    id: str
    value: str
    generation: int
    made: float
    renew_at: float
    until: float
    beside: tuple[str, ...] = ()
    credentials: Credentials = NO_CREDENTIALS

    def __post_init__(self) -> None:
        headers = (("Authorization", f"Bearer {self.value}"),)
        msgspec.structs.force_setattr(self, "credentials", Credentials(headers, secrets=(self.value, *self.beside)))

    def __repr__(self) -> str:
        """Tell no secret."""
        return f"AccessToken({self.id})"


def token_client(
    plan: OAuthPlan,
    values: Mapping[str, str],
    *,
    public: frozenset[str],
    scope: Scope,
    context: SealContext,
    certificate: ClientCertificate | None = None,
) -> TokenClient:
    """The client that opened `values` make. `public` names those that are not sensitive.

    Raises `credentials-rejected` where something is missing.
    """
    client_id = values.get("client_id", "")
    if not client_id:
        raise _unusable("client_id")
    secret = values.get("client_secret", "")
    if not secret and plan.grant == "client_credentials" and certificate is None:
        raise _unusable("client_secret")
    shown = {name: value for name, value in values.items() if name in public}
    parameters = tuple((name, _filled(value, shown)) for name, value in plan.parameters)
    token_url = token_url_of(plan, values)
    asked = (plan.grant, token_url, plan.client_auth, client_id, plan.scopes, parameters)
    digest = hashlib.sha256(msgspec.msgpack.encode(asked)).hexdigest()[:16]
    return TokenClient(
        scope=scope,
        context=dataclasses.replace(context, use="token", field=""),
        grant=plan.grant,
        token_url=token_url,
        client_auth=plan.client_auth,
        client_id=client_id,
        client_secret=secret,
        scopes=plan.scopes,
        parameters=parameters,
        expired=plan.expired,
        certificate=certificate,
        given={field: values[field] for field in GIVEN_FIELDS if values.get(field)} if scope.draft else {},
        ask=digest,
    )


def token_url_of(plan: OAuthPlan, values: Mapping[str, str]) -> str:
    """The token endpoint's address, written in one way; `credentials-rejected` where it is none."""
    url = plan.token_url or values.get("token_url", "")
    if not url:
        raise _unusable("token_url")
    try:
        return str(parse_fixed_url(url))
    except AddressError as error:
        raise DibopError(
            "credentials-rejected", f"The connection's token_url cannot be used. {error} Rotate its credentials."
        ) from None


def spans(lifetime: float) -> tuple[float, float]:
    """After how many seconds a token that lives for `lifetime` is renewed, and after how many it is used no more."""
    (early, early_part), (spare, spare_part) = _EARLY, _SPARE
    return lifetime - min(early, lifetime * early_part), lifetime - min(spare, lifetime * spare_part)


def says_expired(signal: ExpiredPlan, response: HttpResponse) -> bool:
    """Whether a response says that its access token is no longer good: a 401, or what the template calls so."""
    if response.status == 401:
        return True
    if signal.statuses and response.status not in signal.statuses:
        return False
    if not signal.path:
        return bool(signal.statuses)
    if len(response.body) > _MOST_SIGNAL_BYTES:
        return False
    try:
        value: Any = msgspec.json.decode(response.body)
    except UNREADABLE:
        return False
    for name in signal.path:
        value = value.get(name) if isinstance(value, dict) else None
    return any(type(value) is type(each) and value == each for each in signal.values)


def _filled(text: str, values: Mapping[str, str]) -> str:
    return PLACEHOLDER.sub(lambda match: values.get(match[1], ""), text)


def _unusable(field: str) -> DibopError:
    return DibopError(
        "credentials-rejected",
        f"The credential {field!r} is missing or empty. Rotate the connection's credentials with a usable one.",
    )
