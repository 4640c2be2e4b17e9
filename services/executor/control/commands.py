"""Every command to the executors, by `<noun>.<verb>`: what it takes and what carries it out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from services.executor.control import circuit, connection, draft, keys, oauth
from services.executor.control.ports import Caller, Controls
from shared.contracts.commands import (
    ConsentConnection,
    ExchangeCode,
    ExchangeTestCode,
    PingConnection,
    ProbeDraft,
    ResealKeys,
    ResetCircuits,
    ShowCircuits,
    ShowKeys,
)
from shared.contracts.errors import DibopError

C = TypeVar("C", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Command:
    """`handle` takes the caller, a `model` and the controls; its answer is the reply."""

    model: type[BaseModel]
    handle: Callable[[Caller, Any, Controls], Awaitable[BaseModel]]


def _command(model: type[C], handle: Callable[[Caller, C, Controls], Awaitable[BaseModel]]) -> Command:
    return Command(model, handle)


COMMANDS: Final[Mapping[str, Command]] = {
    "circuit.show": _command(ShowCircuits, circuit.show),
    "circuit.reset": _command(ResetCircuits, circuit.reset),
    "connection.consent": _command(ConsentConnection, connection.consent),
    "connection.ping": _command(PingConnection, connection.ping),
    "draft.probe": _command(ProbeDraft, draft.probe),
    "keys.show": _command(ShowKeys, keys.show),
    "keys.reseal": _command(ResealKeys, keys.reseal),
    "oauth.exchange": _command(ExchangeCode, oauth.exchange),
    "oauth.exchange-test": _command(ExchangeTestCode, oauth.exchange_test),
}


def command_of(noun: str, verb: str) -> Command:
    """The command of this name, or `invalid-request` with those there are."""
    found = COMMANDS.get(f"{noun}.{verb}")
    if found is None:
        raise DibopError(
            "invalid-request",
            f"Executors have no command {noun[:40]}.{verb[:40]}. There are: {', '.join(COMMANDS)}.",
        )
    return found
