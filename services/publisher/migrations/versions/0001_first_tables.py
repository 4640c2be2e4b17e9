"""First tables: evidence, publications, the audit queue, outbox and inbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.persistence.outbox import create_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NAME = sa.String(63)
_DIGEST = sa.String(71)
_INSTANT = sa.String(24)
_ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    create_tables(op.get_bind())
    op.create_table(
        "evidence",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.String(36), nullable=False),
        sa.Column("owner", _NAME, nullable=False),
        sa.Column("slug", _NAME, nullable=False),
        sa.Column("operation", _NAME, nullable=False),
        sa.Column("operation_digest", _DIGEST, nullable=False),
        sa.Column("outcome", sa.String(4), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("status_code", sa.Integer),
        sa.Column("duration_ms", sa.Float),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.CheckConstraint("outcome IN ('pass', 'fail')", name="evidence_outcome_known"),
    )
    op.create_index("evidence_of_operation", "evidence", ["owner", "slug", "operation_digest", "id"])
    op.create_table(
        "publications",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("owner", _NAME, nullable=False),
        sa.Column("slug", _NAME, nullable=False),
        sa.Column("scope", sa.String(20), nullable=False),
        sa.Column("digest", _DIGEST, nullable=False),
        sa.Column("version", sa.String(20), nullable=False),
        sa.Column("base_version", sa.String(20)),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("notes", sa.Text, nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("entry", sa.Text),
        sa.Column("refusal_code", sa.String(40)),
        sa.Column("refusal_detail", sa.Text),
        sa.CheckConstraint(
            "state IN ('recorded', 'version_added', 'published', 'failed')", name="publication_state_known"
        ),
    )
    is_open = sa.text("state IN ('recorded', 'version_added')")
    op.create_index(
        "publications_one_open",
        "publications",
        ["owner", "slug"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_index("publications_of_connector", "publications", ["owner", "slug", "state"])
    op.create_table(
        "audit_queue",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("entry_id", sa.String(64), nullable=False, unique=True),
        sa.Column("enterprise", _NAME, nullable=False),
        sa.Column("entry", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
