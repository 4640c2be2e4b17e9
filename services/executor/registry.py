"""The registry, asked with the executors' own token, since it stores what only they can seal; or with a person's."""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeVar

from nats.aio.client import Client
from pydantic import BaseModel

from shared.contracts import subjects
from shared.contracts.commands import (
    ConnectionResealed,
    ConsentRecorded,
    RecordConsent,
    ResealConnection,
    StagedDraft,
    StageDraft,
    StoreToken,
    TokenStored,
)
from shared.contracts.errors import DibopError
from shared.messaging import client

M = TypeVar("M", bound=BaseModel)

ANSWER_SECONDS: Final = 10.0


class RegistryClient:
    """The executors' own token is read anew each time: it may be renewed."""

    def __init__(self, nc: Client, token_file: Path | None) -> None:
        self._nc = nc
        self._token_file = token_file

    async def store_token(
        self, enterprise: str, command: StoreToken, *, request_id: str | None = None, seconds: float = ANSWER_SECONDS
    ) -> TokenStored:
        """Store a refresh token; `conflict` where another worker has stored one since `command.expected`."""
        return await self._ask(enterprise, "store-token", command, TokenStored, request_id=request_id, seconds=seconds)

    async def reseal(
        self, enterprise: str, command: ResealConnection, *, request_id: str | None = None
    ) -> ConnectionResealed:
        """Replace ciphertexts; `conflict` where the connection has changed since `command.generation`."""
        return await self._ask(enterprise, "reseal", command, ConnectionResealed, request_id=request_id)

    async def consent(
        self, enterprise: str, command: RecordConsent, *, request_id: str | None = None
    ) -> ConsentRecorded:
        """Record a consent with what was sealed for it; `conflict` where the connection has changed meanwhile."""
        return await self._ask(enterprise, "consent", command, ConsentRecorded, request_id=request_id)

    async def stage_draft(self, owner: str, slug: str, *, token: str, request_id: str | None = None) -> StagedDraft:
        """Have a draft put where executors read it, in the name of the person whose `token` this is."""
        return await client.command(
            self._nc,
            subjects.registry(owner, "draft", "stage"),
            StageDraft(slug=slug),
            StagedDraft,
            timeout=ANSWER_SECONDS,
            token=token,
            request_id=request_id,
        )

    async def _ask(
        self,
        enterprise: str,
        verb: str,
        body: BaseModel,
        reply: type[M],
        *,
        request_id: str | None,
        seconds: float = ANSWER_SECONDS,
    ) -> M:
        if self._token_file is None:
            raise DibopError(
                "internal",
                "This executor has no token to command the registry with. Have its operator set "
                "DIBOP_SERVICE_TOKEN_FILE.",
            )
        return await client.command(
            self._nc,
            subjects.registry(enterprise, "connection", verb),
            body,
            reply,
            timeout=seconds,
            token=self._token_file.read_text().strip(),
            request_id=request_id,
        )
