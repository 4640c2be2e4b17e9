"""What was told of enterprises."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"

NAME = sa.String(63).with_variant(postgresql.VARCHAR(63, collation="C"), "postgresql")
INSTANT = sa.String(24)
SEQUENCE = sa.BigInteger


def upgrade() -> None:
    op.create_table(
        "enterprises",
        sa.Column("id", NAME, primary_key=True),
        sa.Column("name", sa.Text),
        sa.Column("named_at", INSTANT, nullable=False, server_default=""),
        sa.Column("named_sequence", SEQUENCE, nullable=False, server_default="0"),
        sa.Column("suspended", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("changed_at", INSTANT, nullable=False, server_default=""),
        sa.Column("changed_sequence", SEQUENCE, nullable=False, server_default="0"),
        sa.Column("sdk_access", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("sdk_changed_at", INSTANT, nullable=False, server_default=""),
        sa.Column("sdk_changed_sequence", SEQUENCE, nullable=False, server_default="0"),
        sa.Column("generation", sa.Integer, nullable=False, server_default="0"),
        sa.Column("projected_generation", sa.Integer, nullable=False, server_default="0"),
    )
