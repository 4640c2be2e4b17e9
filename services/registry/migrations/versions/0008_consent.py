"""Terms of versions, what connections have consented to, and which one is the default."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

INSTANT = sa.String(24)


def upgrade() -> None:
    op.add_column("versions", sa.Column("sends", sa.JSON))
    for column in (
        sa.Column("is_default", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("consented_version", sa.String(20)),
        sa.Column("consented_terms", sa.JSON),
        sa.Column("consented_digest", sa.String(16), nullable=False, server_default=""),
        sa.Column("consented_by", sa.Text),
        sa.Column("consented_at", INSTANT),
    ):
        op.add_column("connections", column)
    op.create_index(
        "connections_one_default",
        "connections",
        ["enterprise", "connector"],
        unique=True,
        sqlite_where=sa.text("is_default AND NOT deleted"),
        postgresql_where=sa.text("is_default AND NOT deleted"),
    )
