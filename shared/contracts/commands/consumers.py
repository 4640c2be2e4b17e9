"""Durable consumers of events: an enterprise's own, which the registry makes and its clients read."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from shared.contracts.commands.base import Message, Token
from shared.contracts.limits import MAX_NAME_CHARACTERS

EventPattern = Annotated[
    str,
    StringConstraints(
        pattern=r"^(?:(?:\*|[A-Za-z0-9_-]+)\.){0,2}(?:\*|>|[A-Za-z0-9_-]+)$", max_length=MAX_NAME_CHARACTERS
    ),
]
"""`<noun>.<identifier>.<what>`, where `*` stands for any token and a final `>` for any rest."""


class CreateConsumer(Message):
    """`consumer.create`: keeps what happens from now on until it is read. Repeating it changes nothing."""

    name: Token
    pattern: EventPattern = ">"


class Consumer(Message):
    """`consumer` is its name in the stream EVENTS. `waiting` events are still to be read.

    `unacknowledged` ones have been read, and come again after half a minute.
    """

    name: str
    consumer: str
    subjects: list[str]
    waiting: int
    unacknowledged: int


class ListConsumers(Message):
    """`consumer.list`: the enterprise's, by name; `name` is of that one alone."""

    name: Token | None = None


class ConsumerList(Message):
    consumers: list[Consumer]


class DeleteConsumer(Message):
    """`consumer.delete`: with what waits in it."""

    name: Token


class ConsumerDeleted(Message):
    name: str
