"""What executors do for the authorization_code grant: they alone exchange the code."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from shared.contracts.commands.base import Message, Slug, Token
from shared.contracts.commands.circuits import AuditState
from shared.contracts.commands.connections import KeyId, SealedValue, Uuid
from shared.contracts.commands.testing import TestCredentials

RedirectUri = Annotated[str, StringConstraints(pattern=r"^https?://[\x21-\x22\x24-\x7e]{1,2040}$")]
"""Without a fragment."""


class ExchangeCode(Message):
    """`oauth.exchange`, to executors: exchange an authorization code for the tokens of the connection `id`.

    `sealed` is the JSON `{"code", "verifier"}`, sealed for the use `token` and the field `authorization_code`.
    `redirect_uri` is the exact one of the authorization request.
    """

    connector: Slug
    connection: Token = "default"
    id: Uuid
    redirect_uri: RedirectUri
    kid: KeyId
    sealed: SealedValue


class CodeExchanged(Message):
    """What was granted. `generation` is that of the stored token.

    Where the authorization is not `refreshable` it ends at `expires_at`, or when the external system ends it.
    """

    generation: int
    scopes: str
    refreshable: bool
    expires_at: str | None
    audit: AuditState


class ExchangeTestCode(Message):
    """`oauth.exchange-test`, to executors: the same for a test session of a draft, which `credentials` are sealed for.

    The executor has the registry stage the draft in the name of the caller, whose token goes along.
    """

    connector: Slug
    credentials: TestCredentials
    redirect_uri: RedirectUri
    kid: KeyId
    sealed: SealedValue


class TestCodeExchanged(Message):
    """The session's credentials with what was granted among them, all sealed to the executors' present key."""

    credentials: TestCredentials
    scopes: str
    refreshable: bool
    expires_at: str | None
