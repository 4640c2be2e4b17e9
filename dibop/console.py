"""The console's address, and links that sign a person in there with the token they have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from dibop.context import Context
from dibop.errors import ConsoleUnreachableError, ContextError, typed
from shared.contracts.errors import TYPE_PREFIX, DibopError

_SECONDS: Final = 10.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class SignInLink:
    """An address that signs in whoever opens it first, as the caller."""

    url: str = field(repr=False)
    expires_at: str


async def sign_in_link(context: Context) -> SignInLink:
    """A new link. Raises ContextError without an address or a token, ConsoleUnreachableError, and what is refused."""
    address, token = context.console_url, context.token()
    if not address:
        raise ContextError("The context names no console_url. Write the console's address there.")
    if not token:
        raise ContextError("The context names no token_file, and a link signs in whose token it is made with.")
    url = f"{address}/api/v1/sign-in-links"
    through_proxies = urlsplit(address).hostname not in _LOOPBACK
    try:
        async with httpx.AsyncClient(timeout=_SECONDS, trust_env=through_proxies) as http:
            answer = await http.post(url, headers={"Authorization": f"Bearer {token}"})
        content: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise ConsoleUnreachableError(
            f"The console at {address} does not answer ({str(error) or type(error).__name__}). Is it running? "
            "'dibop status' shows what runs."
        ) from error
    if str(content.get("type", "")).startswith(TYPE_PREFIX):
        raise typed(DibopError.from_problem(content))
    return SignInLink(content["url"], content["expires_at"])
