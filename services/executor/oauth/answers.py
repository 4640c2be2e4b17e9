"""Answers of token endpoints (RFC 6749, 5.1 and 5.2), and of those that bend the rules. Pure: nothing here does I/O."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NoReturn
from urllib.parse import parse_qsl

import msgspec

from services.executor.domain.oauth import DEFAULT_LIFETIME, MAX_LIFETIME
from shared.contracts.unreadable import UNREADABLE
from shared.security.redaction import hide, one_line

ENDED: Final = "authorization_ended"
"""The `error` of a RefusedError for which no endpoint was asked: an access token that cannot be renewed has expired."""

_MOST_TOKEN: Final = 16_384
_MOST_SCOPES: Final = 4096
_MOST_ERROR: Final = 64
_MOST_DESCRIPTION: Final = 300
_BEARER: Final = frozenset({"bearer", "bearertoken"})
"""`BearerToken` is what Apigee calls it."""
_PASSING: Final = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
"""Errors that say nothing about the client. They belong to other endpoints, and token endpoints send them too."""
_REFUSING_STATUSES: Final = frozenset({400, 401, 403})


class Granted(msgspec.Struct, frozen=True):
    """What was granted. `lifetime` is how long the token is used, in seconds, and `stated` how long it lives.

    `stated` and `scopes` are what the endpoint says, None where it says nothing that makes sense.
    """

    access_token: str
    lifetime: float
    refresh_token: str | None = None
    scopes: str | None = None
    stated: float | None = None

    def __repr__(self) -> str:
        """Tell no secret."""
        return f"Granted({self.lifetime:g} s)"


class RefusedError(Exception):
    """The endpoint refuses this client or its grant; `error` is its own word, such as `invalid_client`."""

    def __init__(self, error: str, description: str = "") -> None:
        super().__init__(error)
        self.error = error
        self.description = description

    @property
    def said(self) -> str:
        """The endpoint's words as a sentence quotes them: without a full stop."""
        return (f"{self.error}: {self.description}" if self.description else self.error).rstrip(".")


class UnreadableError(Exception):
    """The endpoint answered something that is neither a token nor a refusal. The text ends a sentence: "It …"."""


def read_answer(status: int, content_type: str, body: bytes, *, secrets: tuple[str, ...] = ()) -> Granted:
    """What an answer grants. Raises RefusedError, and UnreadableError where trying again may help.

    `secrets` are taken out of what the endpoint says about an error.
    """
    fields = _fields(content_type, body)
    if fields is not None and "error" in fields and fields["error"] not in (None, "", False):
        _refused(status, fields, secrets)
    if not 200 <= status < 300:
        if status in _REFUSING_STATUSES:
            raise RefusedError(f"status {status}", "no reason in the form that OAuth2 has for it")
        raise UnreadableError(f"answered with status {status}")
    if fields is None:
        raise UnreadableError("answered with neither JSON nor a form")
    kind = fields.get("token_type")
    if isinstance(kind, str) and kind.strip() and kind.strip().lower() not in _BEARER:
        raise UnreadableError(
            f"gave a token of type {_told(kind, _MOST_ERROR, secrets)!r}, and only bearer can be sent"
        )
    token = _token(fields.get("access_token"))
    if token is None:
        raise UnreadableError("gave no access_token that a header can carry")
    expires_in = fields.get("expires_in")
    return Granted(
        token, lifetime(expires_in), _token(fields.get("refresh_token")), _scopes(fields), stated_lifetime(expires_in)
    )


def lifetime(expires_in: Any) -> float:
    """Seconds that a token is used, from `expires_in`. Without any that make sense, what is the default here."""
    stated = stated_lifetime(expires_in)
    return DEFAULT_LIFETIME if stated is None else min(stated, MAX_LIFETIME)


def stated_lifetime(expires_in: Any) -> float | None:
    """Seconds that a token lives: a number, or text with one; None for what makes no sense."""
    try:
        seconds = float(expires_in) if isinstance(expires_in, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    if isinstance(expires_in, bool) or not seconds > 0 or math.isinf(seconds):
        return None
    return seconds


def _fields(content_type: str, body: bytes) -> Mapping[str, Any] | None:
    try:
        fields = msgspec.json.decode(body)
    except UNREADABLE:
        fields = None
    if isinstance(fields, dict):
        return fields
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in {"application/x-www-form-urlencoded", "text/plain"}:
        return None
    try:
        form = dict(parse_qsl(body.decode(), max_num_fields=50))
    except ValueError:
        return None
    return form if "access_token" in form or "error" in form else None


def _refused(status: int, fields: Mapping[str, Any], secrets: tuple[str, ...]) -> NoReturn:
    error = fields["error"]
    if isinstance(error, dict):
        # As Google's and Meta's APIs have it, and sometimes their token endpoints.
        described = error.get("message")
        error = error.get("status") or error.get("type") or error.get("code") or "error"
    else:
        described = fields.get("error_description")
    name = _told(error, _MOST_ERROR, secrets)
    if status >= 500 or status == 429 or name in _PASSING:
        raise UnreadableError(f"answered with status {status} and the error {name}")
    raise RefusedError(name, _told(described, _MOST_DESCRIPTION, secrets))


def _told(said: Any, most: int, secrets: tuple[str, ...]) -> str:
    """What an endpoint said, fit for a sentence of ours: printable, on one line, short, and free of `secrets`."""
    if not isinstance(said, str | int):
        return ""
    return one_line(hide(str(said), secrets), most)


def _token(value: Any) -> str | None:
    """A token that a header can carry: visible ASCII (RFC 6749, appendix A.12)."""
    if not isinstance(value, str) or not 0 < len(value) <= _MOST_TOKEN:
        return None
    return value if value.isascii() and value.isprintable() and " " not in value else None


def _scopes(fields: Mapping[str, Any]) -> str | None:
    given = fields.get("scope")
    if isinstance(given, list):
        given = " ".join(each for each in given if isinstance(each, str))
    return given[:_MOST_SCOPES] if isinstance(given, str) and given.isprintable() else None
