"""Every command that the services answer, read from the code that registers them."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

from pydantic import BaseModel

from services.executor.control.commands import COMMANDS
from services.publisher import bus as publisher
from services.registry import bus as registry
from shared.contracts.execution import MAX_REQUEST_BYTES
from shared.messaging.service import CommandService

_NOTHING: Final[Any] = None
"""What a command works with is not needed to say what it takes and answers."""


@dataclass(frozen=True, slots=True)
class Served:
    """A command on `<plane>.v1.<enterprise>.<noun>.<verb>`, the models of its body and its answer, and its limit."""

    plane: str
    noun: str
    verb: str
    model: type[BaseModel]
    answer: type[BaseModel]
    max_bytes: int

    @property
    def name(self) -> str:
        """Its name in the document, whose keys have no dots."""
        return f"{self.plane}_{self.noun}_{self.verb}"


def served() -> list[Served]:
    """All commands, by name."""
    return sorted([*_registry(), *_publisher(), *_executor()], key=lambda each: each.name)


def _registry() -> Iterator[Served]:
    recorder = _Recorder("registry")
    registry.serve(recorder.service, _NOTHING, _NOTHING, _NOTHING, _NOTHING)
    yield from recorder.found


def _publisher() -> Iterator[Served]:
    recorder = _Recorder("publisher")
    publisher.serve(recorder.service, _NOTHING, _NOTHING, _NOTHING, _NOTHING)
    yield from recorder.found


def _executor() -> Iterator[Served]:
    for name, command in COMMANDS.items():
        noun, _, verb = name.partition(".")
        yield Served("executor", noun, verb, command.model, _answer(command.handle), MAX_REQUEST_BYTES)


class _Recorder:
    """Stands where a service does, and writes down what is registered."""

    def __init__(self, plane: str) -> None:
        self.found: list[Served] = []
        self._plane = plane

    @property
    def service(self) -> CommandService:
        return cast("CommandService", self)

    def command(
        self,
        noun: str,
        verb: str,
        model: type[BaseModel],
        *,
        max_bytes: int = MAX_REQUEST_BYTES,
        **_limits: int,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def register(handler: Callable[..., Any]) -> Callable[..., Any]:
            self.found.append(Served(self._plane, noun, verb, model, _answer(handler), max_bytes))
            return handler

        return register


def _answer(handler: Callable[..., Any]) -> type[BaseModel]:
    """The model that a handler says it answers with."""
    answer = typing.get_type_hints(handler).get("return")
    if not isinstance(answer, type) or not issubclass(answer, BaseModel) or answer is BaseModel:
        raise TypeError(f"{handler.__qualname__} does not say which model it answers with: annotate what it returns")
    return answer
