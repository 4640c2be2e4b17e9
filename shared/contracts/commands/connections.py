"""Connections of an enterprise to connectors."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from shared.contracts.commands.base import Message, Slug, Token
from shared.contracts.projections import HealthState


class CreateConnection(Message):
    """`connection.create`. `id` is the UUID that the sealing side made; `sealed` values are base64."""

    connector: Slug
    name: Token = "default"
    id: str = Field(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
    owner: Token
    origin: str = Field("", max_length=300)
    kid: str = Field("", max_length=64)
    values: dict[Token, Annotated[str, StringConstraints(max_length=4096)]] = Field(default_factory=dict)
    sealed: dict[Token, Annotated[str, StringConstraints(max_length=32_768)]] = Field(default_factory=dict)
    masked: dict[Token, Annotated[str, StringConstraints(max_length=4)]] = Field(default_factory=dict)
    version_policy: str = Field("^1", pattern=r"^(\^\d{1,6}|\d{1,6}\.\d{1,6}\.\d{1,6})$")


class ConnectionHealthModel(Message):
    """How a connection does, as the executors find it. `cause` is what opened a circuit of it, if one is open.

    `since` is None for a connection that nothing was sent through yet.
    """

    state: HealthState = "unchecked"
    since: str | None = None
    cause: str = ""


class Connection(Message):
    """A connection as people see it: sensitive fields only as masked tails (`fields`: name to what may be shown)."""

    id: str
    enterprise: str
    connector: str
    owner: str
    name: str
    version_policy: str
    origin: str
    fields: dict[str, str]
    created_by: str
    created_at: str
    health: ConnectionHealthModel = Field(default_factory=ConnectionHealthModel)


class ListConnections(Message):
    """`connection.list`."""

    connector: Slug | None = None
    limit: int = Field(100, ge=1, le=1000)
    after: str | None = None


class ConnectionPage(Message):
    connections: list[Connection]
    next_after: str | None


class DeleteConnection(Message):
    """`connection.delete`."""

    connector: Slug
    name: Token = "default"


class ConnectionDeleted(Message):
    id: str
    connector: str
    name: str
