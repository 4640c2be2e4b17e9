"""The bus, as the console uses it: commands and executions, always in a caller's name and with the caller's token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from services.console.security.callers import Caller
from shared.contracts import subjects
from shared.contracts.errors import DibopError
from shared.contracts.names import require_token
from shared.messaging.client import command
from shared.messaging.connection import BusClient

M = TypeVar("M", bound=BaseModel)
Plane = Literal["registry", "publisher", "executor"]

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
                body,
                reply,
                timeout=seconds or self.seconds,
                token=caller.token,
                request_id=caller.request_id,
            )
        except ValidationError as error:
            raise DibopError(
                "internal", f"The {plane} answered {what} with something that is no {reply.__name__}."
            ) from error
