"""The front half of OAuth2's authorization_code grant: asking a person for consent, and checking what comes back.

Whoever sends a person to an authorization server keeps a `PendingAuthorization` meanwhile, which holds the verifier of
PKCE. The callback is checked against it (RFC 6749, 4.1; RFC 7636; RFC 9207; RFC 9700): the state is its own, in time
and for the first time, and it is for the same person, enterprise and connection. Code and verifier are then sealed for
an executor, which alone exchanges them. Pure, but for random numbers.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlencode

from shared.contracts.template import Template, origin_of, with_defaults
from shared.contracts.template.address import PLACEHOLDER, AddressError, parse_fixed_url
from shared.security.redaction import hide_shapes, one_line
from shared.security.sealing import SealContext, SealingKey

LIFETIME_SECONDS: Final = 600.0
"""How long a person may take."""
AUTHORIZATION_CODE: Final = "authorization_code"
"""The field that code and verifier are sealed for."""

_STATE_BYTES: Final = 32
_VERIFIER_BYTES: Final = 48
_MOST_PARAMETERS: Final = 50
_MOST_QUERY: Final = 32_768
_MOST_SAID: Final = 300
_MOST_PENDING: Final = 10_000
_REASONS: Final[Mapping[str, str]] = {
    "access_denied": "consent was not given",
    "invalid_scope": "it does not know the scopes that the template asks for, or does not grant them to this client",
    "unauthorized_client": "it does not allow this client the authorization_code grant",
    "unsupported_response_type": "it has no authorization_code grant",
    "invalid_request": "it does not take the authorization request",
    "server_error": "it has a trouble of its own; try again later",
    "temporarily_unavailable": "it is overloaded, or being maintained; try again later",
}
"""What the errors of RFC 6749 (4.1.2.1) mean."""


class AuthorizationRefusedError(Exception):
    """The authorization has come to its end without a code, or cannot begin; the text says why and what to do."""


class ForeignCallbackError(AuthorizationRefusedError):
    """The callback does not belong to this authorization, which goes on."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """Whose authorization it is and what it is for. `connection` is the id of a connection, or of a test session."""

    person: str
    enterprise: str
    owner: str
    connector: str
    connection: str


@dataclass(frozen=True, slots=True)
class PendingAuthorization:
    """What is known until the callback comes. `expires_at` is in seconds of the clock that `begin` was told.

    `issuer` is the origin that the authorization server speaks from. `verifier` is None where the template switches
    PKCE off.
    """

    purpose: Purpose
    redirect_uri: str
    issuer: str
    expires_at: float
    state: str = field(repr=False)
    verifier: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Callback:
    """The parameters that the authorization server sent a person back with; "" for what was not there."""

    state: str = field(repr=False)
    code: str = field(default="", repr=False)
    iss: str | None = None
    error: str = ""
    description: str = ""


def begin(
    template: Template, values: Mapping[str, str], purpose: Purpose, redirect_uri: str, *, now: float
) -> tuple[str, PendingAuthorization]:
    """The address to send the person to, and what to keep meanwhile.

    `values` are the connection's values that are not sensitive. Raises AuthorizationRefusedError where the template
    or the values do not make an authorization request.
    """
    shown = _shown(template, values)
    address = _address(template, shown)
    state, verifier = secrets.token_urlsafe(_STATE_BYTES), None
    parameters = {"response_type": "code", "client_id": shown["client_id"], "redirect_uri": redirect_uri}
    if template.scopes:
        parameters["scope"] = template.scope_text()
    parameters["state"] = state
    if template.pkce:
        verifier = secrets.token_urlsafe(_VERIFIER_BYTES)
        parameters |= {"code_challenge": challenge(verifier), "code_challenge_method": "S256"}
    for name, value in template.authorization_parameters.items():
        parameters[name] = PLACEHOLDER.sub(lambda match: shown.get(match[1], ""), value)
    separator = "&" if "?" in address else "?"
    pending = PendingAuthorization(
        purpose, redirect_uri, origin_of(address), now + LIFETIME_SECONDS, state=state, verifier=verifier
    )
    return f"{address}{separator}{urlencode(parameters)}", pending


def challenge(verifier: str) -> str:
    """PKCE's S256 (RFC 7636, 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def state_hash(state: str) -> str:
    """What a browser's cookie may hold to prove later that it is where the authorization began."""
    return hashlib.sha256(state.encode()).hexdigest()


def read_callback(query: str) -> Callback:
    """The callback in a query string. Raises ForeignCallbackError for what is none: a parameter twice, no state."""
    try:
        pairs = parse_qsl(query[:_MOST_QUERY], keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        pairs = []
    found = dict(pairs)
    if len(found) != len(pairs) or not found.get("state") or len(query) > _MOST_QUERY:
        raise ForeignCallbackError("This is not what an authorization server sends people back with.")
    return Callback(
        state=found["state"],
        code=found.get("code", ""),
        iss=found.get("iss"),
        error=found.get("error", ""),
        description=found.get("error_description", ""),
    )


def check_callback(
    pending: PendingAuthorization, callback: Callback, *, purpose: Purpose, redirect_uri: str, now: float
) -> str:
    """The code. `purpose` is who is here now and for what, `redirect_uri` where the callback has arrived.

    A state is good for once: whoever calls this forgets `pending`, unless it raises ForeignCallbackError. Raises
    AuthorizationRefusedError.
    """
    if not hmac.compare_digest(pending.state.encode(), callback.state.encode("utf-8", "replace")):
        raise ForeignCallbackError("The callback is of another authorization, or was made up: its state is not known.")
    if pending.purpose != purpose:
        raise AuthorizationRefusedError(
            "The callback has come to another person, enterprise or connection than the authorization was begun for. "
            "Begin again."
        )
    if pending.redirect_uri != redirect_uri:
        raise AuthorizationRefusedError(
            f"The callback has arrived at {redirect_uri}, and was asked for at {pending.redirect_uri}. Begin again."
        )
    if now >= pending.expires_at:
        raise AuthorizationRefusedError(
            f"The authorization took longer than {LIFETIME_SECONDS / 60:g} minutes, and its state has expired. "
            "Begin again."
        )
    _check_issuer(pending, callback.iss)
    if callback.error:
        raise AuthorizationRefusedError(_told(pending, callback))
    if not _is_code(callback.code):
        raise AuthorizationRefusedError(f"The authorization server at {pending.issuer} sent no code. Begin again.")
    return callback.code


def seal_code(pending: PendingAuthorization, code: str, key: SealingKey, origin: str) -> str:
    """Code and verifier, sealed for an executor; `origin` is the token endpoint's, as the connection has it."""
    purpose = pending.purpose
    context = SealContext(
        "token", purpose.enterprise, purpose.owner, purpose.connector, purpose.connection, origin, AUTHORIZATION_CODE
    )
    return key.seal(json.dumps({"code": code, "verifier": pending.verifier}), context)


class PendingAuthorizations:
    """Authorizations under way in this process, each to be taken once; the oldest go where there are too many."""

    def __init__(self, most: int = _MOST_PENDING) -> None:
        self._most = most
        self._pending: dict[str, PendingAuthorization] = {}

    def put(self, pending: PendingAuthorization) -> None:
        while len(self._pending) >= self._most:
            del self._pending[next(iter(self._pending))]
        self._pending[state_hash(pending.state)] = pending

    def take(self, callback: Callback) -> PendingAuthorization:
        """The authorization whose state this is, for the first and last time; ForeignCallbackError for no one's."""
        pending = self._pending.pop(state_hash(callback.state), None)
        if pending is None:
            raise ForeignCallbackError(
                "The callback is of no authorization that is under way: its state is not known, or was used already."
            )
        return pending


def _shown(template: Template, values: Mapping[str, str]) -> dict[str, str]:
    """The values that may stand in an address."""
    if template.auth_type != "oauth2" or template.grant_type != "authorization_code":
        raise AuthorizationRefusedError(
            f"The connector {template.slug!r} has no grant_type authorization_code, so there is nothing to authorize: "
            "its credentials are enough."
        )
    sensitive = template.sensitive_fields()
    shown = {name: value for name, value in with_defaults(template, values).items() if name not in sensitive}
    if not shown.get("client_id"):
        raise AuthorizationRefusedError(
            f"The connection to {template.slug!r} has no client_id that may stand in an address. Rotate its "
            "credentials, or have the template's client_id not be sensitive."
        )
    return shown


def _address(template: Template, shown: Mapping[str, str]) -> str:
    given = template.authorization_url or shown.get("authorization_url", "")
    try:
        address = parse_fixed_url(given)
    except AddressError as error:
        raise AuthorizationRefusedError(
            f"The authorization_url of {template.slug!r} cannot be used. {error} Mend the template, or rotate the "
            "connection's credentials."
        ) from None
    if "#" in address.rest:
        raise AuthorizationRefusedError(f"The authorization_url of {template.slug!r} has a fragment. Take it out.")
    return str(address)


def _check_issuer(pending: PendingAuthorization, iss: str | None) -> None:
    """An `iss` that is sent must be of the server that the person was sent to (RFC 9207, 2.4).

    Templates name no issuer, so origins are compared: codes of one server must not be taken to another's endpoint.
    """
    if iss is None:
        return
    try:
        spoken_from = str(parse_fixed_url(iss).origin)
    except AddressError:
        spoken_from = ""
    if spoken_from != pending.issuer:
        raise AuthorizationRefusedError(
            f"The answer is of the authorization server {_line(iss)!r}, and the person was sent to {pending.issuer}. "
            "Its code is used nowhere. Check authorization_url, then begin again."
        )


def _told(pending: PendingAuthorization, callback: Callback) -> str:
    error = _line(callback.error)
    why = _REASONS.get(error, "it says no more")
    said = f"{error}: {_line(callback.description)}" if callback.description else error
    return f"The authorization server at {pending.issuer} sent no code: {why} ({said}). Nothing was changed."


def _line(text: str) -> str:
    """What a server said, on one line, short, and without what looks like a secret."""
    return one_line(hide_shapes(text), _MOST_SAID)


def _is_code(code: str) -> bool:
    """Visible ASCII (RFC 6749, appendix A.11)."""
    return bool(code) and code.isascii() and code.isprintable()
