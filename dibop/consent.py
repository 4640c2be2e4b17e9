"""A person's consent, asked for in their browser and received on the loopback; what it gives goes to an executor."""

from __future__ import annotations

import time
import webbrowser
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from dibop.admin import token_claims
from dibop.client import Client
from dibop.errors import AuthorizationError
from dibop.loopback import Host, Loopback
from shared.contracts.template import Template
from shared.security.authorization import (
    LIFETIME_SECONDS,
    AuthorizationRefusedError,
    PendingAuthorization,
    Purpose,
    begin,
    check_callback,
    read_callback,
)

T = TypeVar("T")

Tell = Callable[[str], None]
Exchange = Callable[[PendingAuthorization, str], Awaitable[T]]
"""What is done with the code."""

_IN_A_TERMINAL: Final = webbrowser.GenericBrowser
"""What the standard library has for browsers without windows; those with windows are subclasses."""


@dataclass(frozen=True, slots=True)
class Way:
    """How the person is asked: `tell` is told the address, which `browser` opens as well.

    `host` and `port` are the redirect URI's; `seconds` is how long to wait.
    """

    tell: Tell
    browser: bool = True
    host: Host = "127.0.0.1"
    port: int = 0
    seconds: float = LIFETIME_SECONDS


async def consented(
    template: Template,
    values: Mapping[str, str],
    purpose: Purpose,
    way: Way,
    exchange: Exchange[T],
) -> T:
    """Ask for consent, and answer what `exchange` makes of the code; the browser is told how that ended.

    `values` are the connection's values that are not sensitive. Raises AuthorizationError, and what `exchange` raises.
    """
    try:
        async with Loopback(host=way.host, port=way.port) as loopback:
            uri = loopback.redirect_uri
            url, pending = begin(template, values, purpose, uri, now=time.time())

            def accept(query: str) -> str:
                return check_callback(pending, read_callback(query), purpose=purpose, redirect_uri=uri, now=time.time())

            loopback.expect(accept)
            way.tell(url)
            if way.browser:
                _open(url)
            return await exchange(pending, await _code(loopback, way.seconds))
    except AuthorizationRefusedError as error:
        raise AuthorizationError(str(error)) from None


async def _code(loopback: Loopback, seconds: float) -> str:
    try:
        return await loopback.code(seconds)
    except TimeoutError:
        raise AuthorizationError(
            f"Nobody has come back from the authorization server within {seconds:g} s. Run the command again."
        ) from None


def purpose_of(client: Client, owner: str, connector: str, connection: str, *, enterprise: str) -> Purpose:
    """An authorization of the context's caller."""
    person = token_claims(client.context.token() or "").get("sub", "")
    return Purpose(str(person), enterprise, owner, connector, connection)


def _open(url: str) -> None:
    """Open the address in a window, where there are any: a browser in this terminal would take it over."""
    try:
        browser = webbrowser.get()
        if type(browser) is not _IN_A_TERMINAL:
            browser.open(url)
    except (webbrowser.Error, OSError):
        return
