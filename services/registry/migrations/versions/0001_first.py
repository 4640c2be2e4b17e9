"""Connectors, drafts, versions, connections, audit; outbox and inbox."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from services.registry.migrations.guards import guard
from shared.persistence import outbox

revision = "0001"
down_revision = None

NAME = sa.String(63).with_variant(postgresql.VARCHAR(63, collation="C"), "postgresql")
DIGEST = sa.String(71)
INSTANT = sa.String(24)
IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _connectors()
    _versions()
    _connections()
    _audit()
    outbox.create_tables(op.get_bind())
    guard("versions", ("owner", "slug", "version"), ("publication_id",))
    guard("audit", ("id",), ("entry_id",))


def _connectors() -> None:
    op.create_table(
        "connectors",
        sa.Column("owner", NAME, primary_key=True),
        sa.Column("slug", NAME, primary_key=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("name_folded", sa.Text, nullable=False),
        sa.Column("type", sa.String(200), nullable=False),
        sa.Column("saved_by", sa.Text, nullable=False),
        sa.Column("saved_at", INSTANT, nullable=False),
        sa.Column("state", sa.String(20), nullable=False, server_default="draft"),
        sa.Column("published_name", sa.String(200)),
        sa.Column("published_name_folded", sa.Text),
        sa.Column("published_type", sa.String(200)),
        sa.Column("latest_version", sa.String(20)),
        sa.Column("generation", sa.Integer, nullable=False, server_default="0"),
    )
    op.create_table(
        "draft_revisions",
        sa.Column("owner", NAME, primary_key=True),
        sa.Column("slug", NAME, primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("saved_by", sa.Text, nullable=False),
        sa.Column("saved_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["owner", "slug"], ["connectors.owner", "connectors.slug"]),
    )


def _versions() -> None:
    op.create_table(
        "versions",
        sa.Column("owner", NAME, primary_key=True),
        sa.Column("slug", NAME, primary_key=True),
        sa.Column("version", sa.String(20), primary_key=True),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("scope", sa.String(20), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("publication_id", sa.String(64), nullable=False, unique=True),
        sa.Column("published_by", sa.Text, nullable=False),
        sa.Column("published_at", INSTANT, nullable=False),
        sa.Column("notes", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["owner", "slug", "revision"],
            ["draft_revisions.owner", "draft_revisions.slug", "draft_revisions.revision"],
        ),
    )
    op.create_table(
        "version_states",
        sa.Column("owner", NAME, primary_key=True),
        sa.Column("slug", NAME, primary_key=True),
        sa.Column("version", sa.String(20), primary_key=True),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("changed_by", sa.Text, nullable=False),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["owner", "slug", "version"], ["versions.owner", "versions.slug", "versions.version"]),
        sa.CheckConstraint(
            "state IN ('published', 'deprecated', 'unpublished', 'retired')", name="version_state_known"
        ),
    )


def _connections() -> None:
    op.create_table(
        "connections",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("enterprise", NAME, nullable=False),
        sa.Column("connector", NAME, nullable=False),
        sa.Column("owner", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("version_policy", sa.String(20), nullable=False),
        sa.Column("origin", sa.String(300), nullable=False),
        sa.Column("kid", sa.String(64), nullable=False),
        sa.Column("plain_values", sa.JSON, nullable=False),
        sa.Column("sealed_values", sa.JSON, nullable=False),
        sa.Column("masked_tails", sa.JSON, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("deleted_by", sa.Text),
        sa.Column("deleted_at", INSTANT),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("projected_generation", sa.Integer, nullable=False, server_default="0"),
    )
    live = sa.text("deleted IS FALSE")
    op.create_index(
        "connections_live_name",
        "connections",
        ["enterprise", "connector", "name"],
        unique=True,
        sqlite_where=live,
        postgresql_where=live,
    )
    op.create_index("connections_name", "connections", ["enterprise", "connector", "name", "generation"])
    waiting = sa.text("projected_generation < generation")
    op.create_index("connections_unprojected", "connections", ["id"], sqlite_where=waiting, postgresql_where=waiting)


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", IDENTITY, primary_key=True, autoincrement=True),
        sa.Column("entry_id", sa.String(64), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("enterprise", NAME, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("noun", NAME, nullable=False),
        sa.Column("identifier", sa.Text, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.UniqueConstraint("entry_id", name="audit_entry_once"),
    )
    op.create_index("audit_of_enterprise", "audit", ["enterprise", "id"])
    op.create_index("audit_of_thing", "audit", ["enterprise", "noun", "identifier", "id"])
