"""The bus, as the console uses it: commands and executions, always in a caller's name and with the caller's token."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeVar

import msgspec
from nats.errors import Error as NatsError
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from services.console.security.callers import Caller
from shared.contracts import subjects
from shared.contracts.errors import DibopError
from shared.contracts.execution import DEADLINE_HEADER, ExecutionReply, ExecutionRequest, ResponseBody
from shared.contracts.large_replies import join_parts
from shared.contracts.names import require_token
from shared.messaging.client import command, request
from shared.messaging.connection import BusClient

M = TypeVar("M", bound=BaseModel)
Plane = Literal["registry", "publisher", "executor"]

_GRACE_SECONDS: Final = 2.0
"""How much longer than its deadline a caller listens: the answer to a passed deadline is on its way."""
PUBLISH_SECONDS: Final = 60.0
"""How long what the publisher does in several steps is waited for."""


class Bus:
    """Asks the services. `seconds` is how long an answer is waited for."""

    def __init__(self, nc: Callable[[], BusClient], seconds: float) -> None:
        self._nc = nc
        self.seconds = seconds

    @property
    def nc(self) -> BusClient:
        return self._nc()

    @property
    def connected(self) -> bool:
        return self._nc().is_connected

    async def execute(  # an execution has as many
        self,
        caller: Caller,
        connector: str,
        operation: str,
        request_body: ExecutionRequest,
        headers: Mapping[str, str],
        *,
        seconds: float,
    ) -> bytes:
        """Execute an operation for the caller's enterprise; the reply in JSON, its response whole.

        `seconds` is the deadline of the whole.
        """
        enterprise = caller.principal.enterprise
        sent = {**headers, DEADLINE_HEADER: str(max(1, round(seconds * 1000)))}
        raw = await request(
            self._nc(),
            subjects.execute_as(enterprise, connector, operation),
            request_body,
            timeout=seconds + _GRACE_SECONDS,
            token=caller.token,
            request_id=caller.request_id,
            headers=sent,
        )
        reply = msgspec.json.decode(raw, type=ExecutionReply)
        if reply.response_encoding != "chunks" or not isinstance(reply.response_body, ResponseBody):
            return raw
        whole = await self._parts(enterprise, reply.response_body)
        encoding = reply.response_body.inner_encoding
        response = msgspec.Raw(whole) if encoding == "json" else whole if encoding == "base64" else whole.decode()
        return msgspec.json.encode(
            msgspec.structs.replace(reply, response=response, response_encoding=encoding, response_body=msgspec.UNSET)
        )

    async def _parts(self, enterprise: str, body: ResponseBody) -> bytes:
        """A response that lies in the stream RESPONSES for ten minutes."""

        async def part(number: int) -> bytes:
            subject = subjects.response_part(enterprise, body.id, number)
            found = await self._nc().request(f"$JS.API.DIRECT.GET.{subjects.RESPONSES_STREAM}.{subject}", timeout=10)
            if (found.headers or {}).get("Status"):
                raise DibopError("internal", f"Part {number} of the response is not there (any more). Execute again.")
            return found.data

        try:
            return join_parts(body, await asyncio.gather(*map(part, range(body.chunks))))
        except (NatsError, ValueError) as error:
            raise DibopError("internal", f"The large response could not be read: {error}. Execute again.") from error

    async def ask(  # noqa: PLR0917  # a command has as many
        self,
        caller: Caller,
        plane: Plane,
        enterprise: str,
        what: str,
        body: BaseModel,
        reply: type[M],
        *,
        seconds: float | None = None,
    ) -> M:
        """Send `<noun>.<verb>` for `enterprise`; the service decides whether this caller may."""
        require_token(enterprise, "enterprise")
        subject = f"{plane}.{subjects.VERSION}.{enterprise}.{what}"
        try:
            return await command(
                self._nc(),
                subject,
                _encoded(body),
                reply,
                timeout=seconds or self.seconds,
                token=caller.token,
                request_id=caller.request_id,
            )
        except ValidationError as error:
            raise DibopError(
                "internal", f"The {plane} answered {what} with something that is no {reply.__name__}."
            ) from error


def _encoded(body: BaseModel) -> bytes:
    try:
        return body.model_dump_json().encode()
    except (PydanticSerializationError, UnicodeError, RecursionError) as error:
        raise DibopError("invalid-request", f"The request cannot be written as JSON: {error}. Correct it.") from None
