"""What a deprecation names, and the moves of versions to later states."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from services.registry.migrations.guards import guard

revision = "0004"
down_revision = "0003"

NAME = sa.String(63).with_variant(postgresql.VARCHAR(63, collation="C"), "postgresql")
INSTANT = sa.String(24)


def upgrade() -> None:
    op.add_column("version_states", sa.Column("successor", NAME))
    op.add_column("version_states", sa.Column("date", sa.String(10)))
    op.create_table(
        "version_moves",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("owner", NAME, nullable=False),
        sa.Column("slug", NAME, nullable=False),
        sa.Column("versions", sa.JSON, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("successor", NAME),
        sa.Column("date", sa.String(10)),
        sa.Column("notes", sa.Text, nullable=False),
        sa.Column("moved_by", sa.Text, nullable=False),
        sa.Column("moved_at", INSTANT, nullable=False),
    )
    op.create_index("version_moves_of_connector", "version_moves", ["owner", "slug"])
    guard("version_moves", ("id",))
