"""The life of published versions: deprecated, unpublished, retired, rolled back to."""

from __future__ import annotations

import datetime as dt

from pydantic import Field

from shared.contracts.commands.base import ConnectorState, Message, Slug
from shared.contracts.commands.connectors import Successor, VersionName
from shared.contracts.commands.publishing import BumpName
from shared.contracts.lifecycle import LaterState


class DeprecateConnector(Message):
    """`connector.deprecate`: one version, or without `version` every published one but the successor.

    `successor` is a version of the same connector or the slug of another one; `date` is the day until which the
    version can be counted on. Everything goes on working.
    """

    slug: Slug
    version: VersionName | None = None
    successor: Successor | None = None
    date: dt.date | None = None
    notes: str = Field("", max_length=10_000)


class UnpublishConnector(Message):
    """`connector.unpublish`: one version, or without `version` all that are offered take no new connections.

    Connections that there are, and callers that name a version, go on.
    """

    slug: Slug
    version: VersionName | None = None
    notes: str = Field("", max_length=10_000)


class RetireConnector(Message):
    """`connector.retire`: one version, or without `version` all of them, run no more. Refused while one is used."""

    slug: Slug
    version: VersionName | None = None
    notes: str = Field("", max_length=10_000)


class Moved(Message):
    """`versions` are those that moved; none, and `changed` false, where all was so already.

    `connector_state` is the best state that any version of the connector is left with.
    """

    slug: str
    owner: str
    state: LaterState
    versions: list[str]
    successor: str | None
    date: dt.date | None
    connector_state: ConnectorState
    changed: bool


class RollbackConnector(Message):
    """`connector.rollback`: the content of an earlier version becomes the next version. The draft stays as it is.

    `bump` asks for at least this bump, as in `connector.publish`.
    """

    slug: Slug
    version: VersionName
    notes: str = Field("", max_length=10_000)
    bump: BumpName | None = None
