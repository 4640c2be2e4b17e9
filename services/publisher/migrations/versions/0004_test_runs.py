"""Test runs and their steps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_NAME = sa.String(63)
_INSTANT = sa.String(24)
_ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "test_runs",
        sa.Column("number", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(36), nullable=False, unique=True),
        sa.Column("owner", _NAME, nullable=False),
        sa.Column("slug", _NAME, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("started_at", _INSTANT, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("ended_at", _INSTANT),
        sa.Column("reason", sa.Text),
        sa.Column("passed", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("skipped", sa.Integer, nullable=False),
        sa.Column("beats", sa.Integer, nullable=False),
        sa.CheckConstraint(
            "state IN ('running', 'passed', 'failed', 'cancelled', 'interrupted')", name="test_run_state_known"
        ),
        sqlite_autoincrement=True,
    )
    goes_on = sa.text("state = 'running'")
    op.create_index(
        "test_runs_one_under_way",
        "test_runs",
        ["owner", "slug", "actor"],
        unique=True,
        sqlite_where=goes_on,
        postgresql_where=goes_on,
    )
    op.create_index("test_runs_of_connector", "test_runs", ["owner", "slug", "number"])
    op.create_table(
        "test_steps",
        sa.Column("run_id", sa.String(36), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("owner", _NAME, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("exchange", sa.Text),
    )
