"""Rotation of credentials, stored tokens, test credentials, sealing keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

NAME = sa.String(63).with_variant(postgresql.VARCHAR(63, collation="C"), "postgresql")
INSTANT = sa.String(24)


def upgrade() -> None:
    _connections()
    _test_credentials()
    op.create_table(
        "seal_keys",
        sa.Column("kid", sa.String(64), primary_key=True),
        sa.Column("retired_at", INSTANT),
        sa.Column("retired_by", sa.Text),
    )


def _connections() -> None:
    for column in (
        sa.Column("credentials_generation", sa.Integer, nullable=False, server_default="1"),
        sa.Column("rotated_by", sa.Text),
        sa.Column("rotated_at", INSTANT),
        sa.Column("token_generation", sa.Integer, nullable=False, server_default="0"),
        sa.Column("token_kid", sa.String(64)),
        sa.Column("token_sealed", sa.Text),
        sa.Column("token_scopes", sa.Text),
        sa.Column("token_stored_at", INSTANT),
    ):
        op.add_column("connections", column)
    op.execute("UPDATE connections SET kid = '' WHERE CAST(sealed_values AS TEXT) = '{}'")


def _test_credentials() -> None:
    op.create_table(
        "test_credentials",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("enterprise", NAME, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("connector", NAME, nullable=False),
        sa.Column("origin", sa.String(300), nullable=False),
        sa.Column("kid", sa.String(64), nullable=False),
        sa.Column("plain_values", sa.JSON, nullable=False),
        sa.Column("sealed_values", sa.JSON, nullable=False),
        sa.Column("masked_tails", sa.JSON, nullable=False),
        sa.Column("saved_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.UniqueConstraint("enterprise", "person", "connector", "origin", name="test_credentials_once"),
    )
    op.create_index("test_credentials_expiry", "test_credentials", ["expires_at"])
