"""Publications become moves, of which they are one kind."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NAME = sa.String(63)
_STATES = {"recorded": "recorded", "version_added": "applied", "published": "done", "failed": "failed"}


def upgrade() -> None:
    moves = op.create_table(
        "moves",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("owner", _NAME, nullable=False),
        sa.Column("slug", _NAME, nullable=False),
        sa.Column("base_version", sa.String(20)),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("notes", sa.Text, nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("created_at", sa.String(24), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("entry", sa.Text),
        sa.Column("refusal_code", sa.String(40)),
        sa.Column("refusal_detail", sa.Text),
        sa.CheckConstraint("state IN ('recorded', 'applied', 'done', 'failed')", name="move_state_known"),
    )
    bind = op.get_bind()
    for row in bind.execute(sa.text("SELECT * FROM publications")).mappings().all():
        bind.execute(moves.insert().values(_move(row)))
    op.drop_table("publications")
    is_open = sa.text("state IN ('recorded', 'applied')")
    op.create_index(
        "moves_one_open", "moves", ["owner", "slug"], unique=True, sqlite_where=is_open, postgresql_where=is_open
    )
    op.create_index("moves_of_connector", "moves", ["owner", "slug", "state"])


def _move(row: sa.RowMapping) -> dict[str, object]:
    kept = ("id", "owner", "slug", "base_version", "actor", "notes", "request_id", "created_at", "entry")
    released = ("version", "digest", "scope", "revision", "base_version")
    return {
        **{name: row[name] for name in (*kept, "refusal_code", "refusal_detail")},
        "kind": "publish",
        "content": json.dumps({name: row[name] for name in released}),
        "state": _STATES[row["state"]],
    }
