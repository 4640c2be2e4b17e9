"""Triggers that keep rows as they were written, against everyone who has the database open.

SQLite's INSERT OR REPLACE deletes without firing delete triggers, so there an insert over a row is refused too.
"""

from __future__ import annotations

from collections.abc import Sequence

from alembic import op

_FUNCTION = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: its rows never change', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$
"""


def guard(table: str, *keys: Sequence[str]) -> None:
    """Refuse UPDATE, DELETE, TRUNCATE and inserts over a row of `table`; `keys` are its unique keys."""
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite(table, keys)
    else:
        _guard_postgresql(table)


def _guard_postgresql(table: str) -> None:
    op.execute(_FUNCTION)
    op.execute(
        f"CREATE TRIGGER {table}_stay BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        f"CREATE TRIGGER {table}_stay_all BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def _guard_sqlite(table: str, keys: Sequence[Sequence[str]]) -> None:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: its rows never change'); END"
    for verb in ("UPDATE", "DELETE"):
        op.execute(f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} {refuse}")
    same = " OR ".join("(" + " AND ".join(f"{column} = NEW.{column}" for column in key) + ")" for key in keys)
    op.execute(
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "  # noqa: S608  # names of our own
        f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same}) {refuse}"
    )
