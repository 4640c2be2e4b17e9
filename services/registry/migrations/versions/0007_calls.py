"""The call log."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"

NAME = sa.String(63).with_variant(postgresql.VARCHAR(63, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "calls",
        sa.Column("id", NAME, primary_key=True),
        sa.Column("enterprise", NAME, nullable=False),
        sa.Column("connector", NAME, nullable=False),
        sa.Column("operation", NAME, nullable=False),
        sa.Column("connection", NAME),
        sa.Column("version", sa.String(20)),
        sa.Column("outcome", sa.String(40), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("started_ms", sa.BigInteger, nullable=False),
        sa.Column("duration_ms", sa.Double, nullable=False),
        sa.Column("waited_ms", sa.Double, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("retry_stopped", sa.String(20)),
        sa.Column("schema_valid", sa.Boolean),
        sa.Column("caller", sa.Text),
        sa.Column("reply_bytes", sa.BigInteger, nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("worker", sa.String(64), nullable=False),
    )
    op.create_index("calls_by_time", "calls", ["enterprise", "started_ms", "id"])
    op.create_index("calls_by_connector", "calls", ["enterprise", "connector", "started_ms", "id"])
    op.create_index("calls_by_request", "calls", ["enterprise", "request_id"])
    op.create_index("calls_by_age", "calls", ["started_ms"])
