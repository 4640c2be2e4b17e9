"""Credentials as they travel in a request: the headers and the query part that an auth type asks for."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from services.executor.domain.echoes import NOTHING_HIDDEN, Hidden
from services.executor.domain.encoding import encode_component
from services.executor.domain.plan import AuthPlan
from shared.contracts.errors import DibopError

_FORBIDDEN: Final = frozenset("\r\n\0")


class Credentials(msgspec.Struct, frozen=True, gc=False):
    """What every request of a connection carries. `query` is encoded; `secrets` must never be shown to anyone.

    `hidden` follows from them.
    """

    headers: tuple[tuple[str, str], ...] = ()
    query: str = ""
    secrets: tuple[str, ...] = ()
    hidden: Hidden = NOTHING_HIDDEN

    def __post_init__(self) -> None:
        if self.secrets:
            msgspec.structs.force_setattr(self, "hidden", Hidden.of(self.secrets))

    def __repr__(self) -> str:
        """Tell no secret."""
        return "Credentials()"


NO_CREDENTIALS: Final = Credentials()


def credentials_of(auth: AuthPlan, values: Mapping[str, str]) -> Credentials:
    """Place the opened `values` of a connection where `auth` says; `credentials-rejected` where that cannot be."""
    return _PLACEMENTS[auth.kind](auth, values)


def _none(_auth: AuthPlan, _values: Mapping[str, str]) -> Credentials:
    """Nothing, or nothing that is known beforehand: the access token of oauth2 comes with each request."""
    return NO_CREDENTIALS


def _api_key(auth: AuthPlan, values: Mapping[str, str]) -> Credentials:
    key = _value(auth.fields[0], values)
    sent = auth.prefix + key
    if auth.query_parameter:
        return Credentials(query=f"{encode_component(auth.query_parameter)}={encode_component(sent)}", secrets=(key,))
    return Credentials(headers=((auth.header, sent),), secrets=(key,))


def _basic(auth: AuthPlan, values: Mapping[str, str]) -> Credentials:
    """RFC 7617: a user name cannot hold a colon, since the colon ends it."""
    username, password = (_value(field, values) for field in auth.fields)
    if ":" in username:
        raise _unusable(auth.fields[0], "has a colon, which a user name of HTTP Basic cannot have")
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    return Credentials(headers=((auth.header, f"Basic {pair}"),), secrets=(password, pair))


def _bearer(auth: AuthPlan, values: Mapping[str, str]) -> Credentials:
    token = _value(auth.fields[0], values)
    return Credentials(headers=((auth.header, f"Bearer {token}"),), secrets=(token,))


_PLACEMENTS: Final[Mapping[str, Callable[[AuthPlan, Mapping[str, str]], Credentials]]] = {
    "none": _none,
    "api_key": _api_key,
    "basic": _basic,
    "bearer": _bearer,
    "oauth2": _none,
}


def _value(field: str, values: Mapping[str, str]) -> str:
    value = values.get(field)
    if not value:
        raise _unusable(field, "is missing or empty")
    if not _FORBIDDEN.isdisjoint(value):
        raise _unusable(field, "has a line break or a NUL, which no request can carry")
    return value


def _unusable(field: str, why: str) -> DibopError:
    return DibopError(
        "credentials-rejected",
        f"The credential {field!r} {why}. Rotate the connection's credentials with a usable one.",
    )
