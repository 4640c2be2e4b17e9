"""One request's access token: put into the request, and renewed once where the external system does not take it."""

from __future__ import annotations

from time import monotonic
from typing import Final

import msgspec

from services.executor.domain.echoes import Hidden
from services.executor.domain.oauth import AccessToken, TokenClient, says_expired
from services.executor.oauth.tokens import Tokens
from services.executor.resilience.turn import Place
from services.executor.transport.interface import HttpRequest, HttpResponse
from shared.contracts.errors import DibopError
from shared.security.redaction import keep_out_too

_MOST_CACHED: Final = 2
"""This worker's token, and the one that another has left."""


class Bearer:
    """`deadline` is a time of `monotonic`. While it waits for a token, the request stands in nobody's way."""

    def __init__(self, tokens: Tokens, client: TokenClient, *, deadline: float, place: Place) -> None:
        self._tokens = tokens
        self._client = client
        self._deadline = deadline
        self._place = place
        self._begun = monotonic()
        self._request: HttpRequest | None = None
        self._used: list[AccessToken] = []

    @property
    def hidden(self) -> Hidden:
        """What no caller may see of it."""
        if len(self._used) == 1:
            return self._used[0].credentials.hidden
        return Hidden.of(secret for token in self._used for secret in token.credentials.secrets)

    async def sign(self, request: HttpRequest) -> HttpRequest:
        """`request` with a token; a DibopError where there is none to be had."""
        self._request = request
        token = self._tokens.ready(self._client)
        if token is None:
            self._place.give_up()
            try:
                token = await self._tokens.obtain(self._client, self._deadline)
            finally:
                self._place.take_back()
        return self._signed(request, token)

    def expired(self, response: HttpResponse) -> bool:
        """Whether `response` says that its token is no longer good, and another one may be.

        One that was made for this request is the last. Another worker's, made before, may have ended as well.
        """
        if not says_expired(self._client.expired, response):
            return False
        if self._used[-1].made < self._begun:
            return len(self._used) <= _MOST_CACHED and not self._tokens.is_vain(self._client)
        if len(self._used) > 1:
            self._tokens.in_vain(self._client)
        return False

    async def renew(self) -> HttpRequest | None:
        """The request with another token; None where there is none to be had in time."""
        if self._request is None:
            raise RuntimeError("there is no request yet")
        self._place.give_up()
        try:
            token = await self._tokens.renew(self._client, self._used[-1], self._deadline)
        except DibopError:
            return None
        finally:
            self._place.take_back()
        return self._signed(self._request, token)

    def _signed(self, request: HttpRequest, token: AccessToken) -> HttpRequest:
        self._used.append(token)
        keep_out_too(token.value)
        return msgspec.structs.replace(request, headers=[*request.headers, *token.credentials.headers])
