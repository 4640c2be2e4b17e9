"""What executors do for the authorization_code grant: they alone exchange the code."""

from __future__ import annotations

from pydantic import Field

from shared.contracts.commands.base import Message, Slug, Token
from shared.contracts.commands.connections import KeyId, SealedValue


class ExchangeCode(Message):
    """`oauth.exchange`, to executors: exchange an authorization code for the connection's tokens.

    `sealed` is the JSON `{"code", "verifier"}`, sealed for the use `token` and the field `authorization_code`.
    `redirect_uri` is the exact one of the authorization request; `iss` is what the callback brought (RFC 9207).
    """

    connector: Slug
    connection: Token = "default"
    redirect_uri: str = Field(min_length=1, max_length=2048)
    kid: KeyId
    sealed: SealedValue
    iss: str | None = Field(None, max_length=2048)


class CodeExchanged(Message):
    """The stored token's generation, 0 where the server gave no refresh token; what was granted, and for how long."""

    generation: int
    scopes: str = ""
    expires_in: int | None = None
