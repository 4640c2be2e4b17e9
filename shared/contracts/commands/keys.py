"""Sealing keys: which ones the executors hold, what is sealed to which, and their retirement.

Executors hold the private keys and reseal (`executor.v1.platform.keys.<verb>`); the registry knows what is sealed to
which key and takes nothing more for a retired one (`registry.v1.platform.keys.<verb>`).
"""

from __future__ import annotations

from pydantic import Field

from shared.contracts.commands.base import Message
from shared.contracts.commands.connections import KeyId


class ShowKeys(Message):
    """`keys.show`, to executors: the rings of all workers."""


class WorkerKeys(Message):
    """Ids of the keys that a worker can open with; it seals to the active one. `worker` is its name.

    `in_use` counts the connections, as this worker knows them, that need each key.
    """

    worker: str
    active: str
    keys: list[str]
    in_use: dict[str, int]


class KeysShown(Message):
    """The workers that answered, by name; `expected` is how many there were lately."""

    workers: list[WorkerKeys]
    expected: int


class ResealKeys(Message):
    """`keys.reseal`, to executors: seal to the active key what is sealed to another one; at most `limit` connections.

    `kid` is the key that the sender takes for the active one: a worker that does not know so yet answers `conflict`.
    """

    kid: KeyId
    limit: int = Field(100, ge=1, le=1000)


class ResealFailure(Message):
    """A connection that could not be resealed, and why. It keeps the old key in use."""

    enterprise: str
    connector: str
    name: str
    why: str


class Resealed(Message):
    """`remaining` are the connections still to be done, those in `failed` not counted."""

    kid: str
    resealed: int
    remaining: int
    failed: list[ResealFailure]


class ListKeyUses(Message):
    """`keys.list`, to the registry: what is sealed to which key."""


class KeyUse(Message):
    """How much is sealed to the key `kid`; `retired_at` is set once nothing more is taken for it."""

    kid: str
    connections: int
    tokens: int
    test_credentials: int
    retired_at: str | None = None
    retired_by: str | None = None


class KeyUses(Message):
    keys: list[KeyUse]


class RetireKey(Message):
    """`keys.retire`, to the registry: take nothing more that is sealed to `kid`. `conflict` while something is.

    `forget_test_credentials` deletes those that are sealed to it; people give them again.
    """

    kid: KeyId
    forget_test_credentials: bool = False


class KeyRetired(Message):
    kid: str
    retired_at: str


class NoteKeyRotation(Message):
    """`keys.rotated`, to the registry: the executors seal to `kid` from now on; for the audit log."""

    kid: KeyId
    previous: KeyId


class KeyRotationNoted(Message):
    kid: str
