"""No statement on a tenant's table goes out without saying whose rows it means."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from services.publisher.store import tables as publisher
from services.registry.store import tables as registry
from shared.persistence import outbox
from shared.persistence.engine import Database
from shared.persistence.tenancy import (
    UnscopedStatementError,
    across_tenants,
    owned_by,
    require_tenant,
    tenant_column,
)

METADATA = sa.MetaData()
ORDERS = sa.Table(
    "orders",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("tenant", sa.Text, nullable=False),
    info=owned_by("tenant"),
)
LINES = sa.Table(
    "lines",
    METADATA,
    sa.Column("order", sa.Integer, primary_key=True),
    sa.Column("tenant", sa.Text, nullable=False),
    sa.Column("text", sa.Text),
    info=owned_by("tenant"),
)
RATES = sa.Table("rates", METADATA, sa.Column("id", sa.Integer, primary_key=True))
OTHERS = ORDERS.alias("others")

MINE = ORDERS.c.tenant == "acme"
JOINED = ORDERS.join(LINES, sa.and_(LINES.c.tenant == ORDERS.c.tenant, LINES.c.order == ORDERS.c.id))
UNMATCHED = ORDERS.outerjoin(LINES, LINES.c.tenant == ORDERS.c.tenant)
MY_LINES = sa.select(LINES.c.order).where(LINES.c.tenant == "acme")
TWIN = sa.select(sa.literal(1)).where(OTHERS.c.tenant == "acme", OTHERS.c.id == ORDERS.c.id)

SCOPED: dict[str, Any] = {
    "select": sa.select(ORDERS).where(MINE),
    "value first": sa.select(ORDERS).where(sa.literal("acme") == ORDERS.c.tenant),
    "one of several": sa.select(ORDERS).where(ORDERS.c.tenant.in_(["acme", "platform"])),
    "with more": sa.select(ORDERS.c.id).where(ORDERS.c.id > 7).where(MINE).order_by(ORDERS.c.id).limit(5),
    "nested and": sa.select(ORDERS).where(sa.and_(ORDERS.c.id == 1, sa.and_(MINE, ORDERS.c.id == 1))),
    "each alternative": sa.select(ORDERS).where(sa.or_(MINE, sa.and_(ORDERS.c.tenant == "platform", ORDERS.c.id == 1))),
    "an alias": sa.select(OTHERS).where(OTHERS.c.tenant == "acme"),
    "a join": sa.select(LINES.c.text).select_from(JOINED).where(MINE),
    "a join, other side": sa.select(LINES.c.text).select_from(JOINED).where(LINES.c.tenant == "acme"),
    "two sources": sa.select(ORDERS.c.id, LINES.c.text).where(MINE, LINES.c.tenant == ORDERS.c.tenant),
    "a correlated query": sa.select(ORDERS).where(MINE, ~TWIN.exists()),
    "correlated by tenant": sa.select(ORDERS).where(
        MINE, sa.select(LINES.c.order).where(LINES.c.tenant == ORDERS.c.tenant).exists()
    ),
    "a query inside": sa.select(ORDERS).where(MINE, ORDERS.c.id.in_(MY_LINES)),
    "a derived table": sa.select(sa.select(ORDERS).where(MINE).subquery()),
    "a union": sa.union(sa.select(ORDERS.c.id).where(MINE), MY_LINES),
    "update": sa.update(ORDERS).where(MINE, ORDERS.c.id == 1).values(id=2),
    "delete": sa.delete(ORDERS).where(MINE),
    "insert": sa.insert(ORDERS).values(id=1, tenant="acme"),
    "a table of the service's own": sa.select(RATES),
    "marked": across_tenants(sa.select(ORDERS)),
    "text": sa.text("SELECT 1"),
}
UNSCOPED: dict[str, Any] = {
    "select": sa.select(ORDERS),
    "by id": sa.select(ORDERS).where(ORDERS.c.id == 1),
    "every tenant but one": sa.select(ORDERS).where(ORDERS.c.tenant != "acme"),
    "any tenant": sa.select(ORDERS).where(ORDERS.c.tenant.is_not(None)),
    "like": sa.select(ORDERS).where(ORDERS.c.tenant.like("acme%")),
    "itself": sa.select(ORDERS).where(ORDERS.c.tenant == ORDERS.c.tenant),
    "not": sa.select(ORDERS).where(~sa.and_(MINE, ORDERS.c.id == 1)),
    "not in": sa.select(ORDERS).where(ORDERS.c.tenant.not_in(["acme"])),
    "one alternative": sa.select(ORDERS).where(sa.or_(MINE, ORDERS.c.id == 1)),
    "another's column": sa.select(ORDERS).where(OTHERS.c.tenant == "acme", OTHERS.c.id == ORDERS.c.id),
    "a join by id": sa.select(LINES.c.text).select_from(ORDERS.join(LINES, LINES.c.order == ORDERS.c.id)).where(MINE),
    "a join without anybody": sa.select(LINES.c.text).select_from(JOINED),
    "an outer join": sa.select(ORDERS.c.id).select_from(UNMATCHED).where(LINES.c.order == 1),
    "a query inside": sa.select(ORDERS).where(MINE, ORDERS.c.id.in_(sa.select(LINES.c.order))),
    "the same table inside": sa.select(ORDERS).where(MINE, ORDERS.c.id.in_(sa.select(ORDERS.c.id))),
    "whatever tenant a query finds": sa.select(ORDERS).where(ORDERS.c.tenant.in_(sa.select(LINES.c.tenant))),
    "a derived table": sa.select(sa.select(ORDERS).subquery()),
    "a cte": sa.select(sa.select(ORDERS).cte()),
    "half a union": sa.union(sa.select(ORDERS.c.id).where(MINE), sa.select(LINES.c.order)),
    "update": sa.update(ORDERS).where(ORDERS.c.id == 1).values(id=2),
    "delete": sa.delete(ORDERS),
    "insert from": sa.insert(RATES).from_select(["id"], sa.select(ORDERS.c.id)),
    "a function": sa.select(sa.func.max(ORDERS.c.id)),
}


@pytest.mark.parametrize("statement", SCOPED.values(), ids=SCOPED.keys())
def test_a_statement_that_says_whose_rows_it_means_passes(statement: Any) -> None:
    require_tenant(statement)


@pytest.mark.parametrize("statement", UNSCOPED.values(), ids=UNSCOPED.keys())
def test_a_statement_that_does_not_is_refused(statement: Any) -> None:
    with pytest.raises(UnscopedStatementError, match="does not say whose rows"):
        require_tenant(statement)


async def test_every_statement_of_a_database_is_looked_at() -> None:
    database = Database.open("sqlite+aiosqlite://")
    try:
        async with database.engine.begin() as connection:
            await connection.run_sync(METADATA.create_all)
            await connection.execute(sa.insert(ORDERS), [{"id": 1, "tenant": "acme"}, {"id": 2, "tenant": "globex"}])
            assert (await connection.execute(SCOPED["select"])).all() == [(1, "acme")]
            for statement in UNSCOPED.values():
                with pytest.raises(UnscopedStatementError):
                    await connection.execute(statement)
            assert len((await connection.execute(across_tenants(sa.select(ORDERS)))).all()) == 2
    finally:
        await database.close()


async def test_what_is_compiled_already_is_looked_at_again_unless_it_passed() -> None:
    """SQLAlchemy keeps what it compiled for a statement, with the mark or without it."""
    database = Database.open("sqlite+aiosqlite://")

    def everything() -> sa.Select[Any]:
        return sa.select(ORDERS)

    try:
        async with database.engine.begin() as connection:
            await connection.run_sync(METADATA.create_all)
            for _ in range(2):
                await connection.execute(across_tenants(everything()))
                with pytest.raises(UnscopedStatementError):
                    await connection.execute(everything())
                for tenant in ("acme", "globex"):
                    await connection.execute(everything().where(ORDERS.c.tenant == tenant))
    finally:
        await database.close()


@pytest.mark.parametrize(
    ("metadata", "own"),
    [(registry.metadata, {"seal_keys"}), (publisher.metadata, set()), (outbox.metadata, {"outbox", "inbox"})],
    ids=["registry", "publisher", "outbox"],
)
def test_every_table_says_whose_it_is(metadata: sa.MetaData, own: set[str]) -> None:
    """A new table has an owner, or is named here as one that holds nothing of any tenant's."""
    assert {table.name for table in metadata.tables.values() if tenant_column(table) is None} == own
    for table in metadata.tables.values():
        column = tenant_column(table)
        assert column is None or not table.c[column].nullable
