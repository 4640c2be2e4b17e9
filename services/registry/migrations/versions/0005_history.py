"""What each revision of a draft changed, and which one it restored."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("draft_revisions", sa.Column("changed", sa.JSON, nullable=False, server_default="[]"))
    op.add_column("draft_revisions", sa.Column("restored_from", sa.Integer))
