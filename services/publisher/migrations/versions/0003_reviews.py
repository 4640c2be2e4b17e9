"""Reviews and what was said of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NAME = sa.String(63)
_INSTANT = sa.String(24)
_ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "reviews",
        sa.Column("number", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(36), nullable=False, unique=True),
        sa.Column("owner", _NAME, nullable=False),
        sa.Column("slug", _NAME, nullable=False),
        sa.Column("scope", sa.String(20), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("bump", sa.String(5)),
        sa.Column("notes", sa.Text, nullable=False),
        sa.Column("saved_by", sa.Text, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("requested_at", _INSTANT, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("decided_by", sa.Text),
        sa.Column("decided_at", _INSTANT),
        sa.Column("move", sa.String(36)),
        sa.CheckConstraint("state IN ('open', 'approved', 'rejected', 'superseded')", name="review_state_known"),
        sqlite_autoincrement=True,
    )
    is_open = sa.text("state = 'open'")
    op.create_index(
        "reviews_one_open", "reviews", ["owner", "slug"], unique=True, sqlite_where=is_open, postgresql_where=is_open
    )
    op.create_index("reviews_of_owner", "reviews", ["owner", "number"])
    op.create_table(
        "review_comments",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("owner", _NAME, nullable=False),
        sa.Column("review", sa.String(36), nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_index("review_comments_of_review", "review_comments", ["owner", "review", "id"])
