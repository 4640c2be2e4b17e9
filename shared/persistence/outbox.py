"""Outbox and inbox: events told exactly when the change they tell of is committed, and applied once.

`enqueue` writes an event in the transaction of its change; the relay (shared.messaging.relay) sends it later.
Events of one subject entity keep their order as long as its writers take turns, as they do when each
updates the entity's row before it enqueues.
"""

from __future__ import annotations

from typing import Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.contracts.clock import utc_now
from shared.contracts.events import Event

metadata: Final = sa.MetaData()

_ROW_ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

outbox: Final = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    sa.Column("entity", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("headers", sa.LargeBinary, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Index("outbox_entity", "entity", "id"),
    sqlite_autoincrement=True,
)
"""Events not yet sent: a row goes once the stream has confirmed it. `entity` is the subject without what happened."""

inbox: Final = sa.Table(
    "inbox",
    metadata,
    sa.Column("consumer", sa.Text, primary_key=True),
    sa.Column("message_id", sa.Text, primary_key=True),
    sa.Column("received_at", sa.Text, nullable=False),
)
"""Messages that a consumer has applied."""


def create_tables(connection: sa.Connection) -> None:
    """Make both tables: for a service's first migration (`create_tables(op.get_bind())`)."""
    metadata.create_all(connection, checkfirst=False)


async def enqueue(connection: AsyncConnection, event: Event) -> None:
    """Tell `event` when the transaction of `connection` commits, and not if it does not."""
    await connection.execute(
        outbox.insert().values(
            entity=event.subject.rpartition(".")[0],
            subject=event.subject,
            headers=msgspec.json.encode(event.headers()),
            body=event.body(),
            created_at=utc_now(),
        )
    )


async def once(connection: AsyncConnection, consumer: str, message_id: str) -> bool:
    """True the first time that `consumer` meets this message; in the transaction that applies it."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = (
        insert(inbox)
        .values(consumer=consumer, message_id=message_id, received_at=utc_now())
        .on_conflict_do_nothing(index_elements=["consumer", "message_id"])
        .returning(inbox.c.message_id)
    )
    return (await connection.execute(statement)).first() is not None
