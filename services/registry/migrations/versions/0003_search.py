"""Words that connectors are found by, with an index that the database keeps in step; when a version was published."""

import json

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from services.registry.domain.search import words_of

revision = "0003"
down_revision = "0002"

NAME = sa.String(63).with_variant(postgresql.VARCHAR(63, collation="C"), "postgresql")
INSTANT = sa.String(24)
IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("connectors", sa.Column("published_at", INSTANT))
    op.execute(
        "UPDATE connectors SET published_at = (SELECT v.published_at FROM versions v WHERE v.owner = connectors.owner "
        "AND v.slug = connectors.slug AND v.version = connectors.latest_version)"
    )
    op.create_table(
        "connector_words",
        sa.Column("id", IDENTITY, primary_key=True, autoincrement=True),
        sa.Column("owner", NAME, nullable=False),
        sa.Column("slug", NAME, nullable=False),
        sa.Column("draft", sa.Boolean, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["owner", "slug"], ["connectors.owner", "connectors.slug"]),
        sa.UniqueConstraint("owner", "slug", "draft", name="connector_words_once"),
    )
    if op.get_bind().dialect.name == "sqlite":
        _index_sqlite()
    else:
        op.execute(
            "ALTER TABLE connector_words ADD COLUMN connector_search tsvector "
            "GENERATED ALWAYS AS (array_to_tsvector(string_to_array(words, ' '))) STORED"
        )
        op.execute("CREATE INDEX connector_search_words ON connector_words USING gin (connector_search)")
    _fill()


def _index_sqlite() -> None:
    """An FTS5 table that holds the index alone and reads the words from their own table."""
    op.execute(
        "CREATE VIRTUAL TABLE connector_search USING fts5("
        "words, content='connector_words', content_rowid='id', tokenize='unicode61 remove_diacritics 0', prefix='2 3')"
    )
    add = "INSERT INTO connector_search(rowid, words) VALUES (NEW.id, NEW.words);"
    drop = "INSERT INTO connector_search(connector_search, rowid, words) VALUES ('delete', OLD.id, OLD.words);"
    for verb, work in (("INSERT", add), ("DELETE", drop), ("UPDATE", drop + add)):
        op.execute(f"CREATE TRIGGER connector_words_{verb.lower()} AFTER {verb} ON connector_words BEGIN {work} END")


def _fill() -> None:
    """The words of what is there already."""
    bind = op.get_bind()
    drafts = sa.text(
        "SELECT c.owner, c.slug, r.document FROM connectors c JOIN draft_revisions r "
        "ON r.owner = c.owner AND r.slug = c.slug AND r.revision = c.revision"
    )
    versions = sa.text(
        "SELECT c.owner, c.slug, v.document FROM connectors c JOIN versions v "
        "ON v.owner = c.owner AND v.slug = c.slug AND v.version = c.latest_version"
    )
    write = sa.text("INSERT INTO connector_words (owner, slug, draft, words) VALUES (:owner, :slug, :draft, :words)")
    for draft, query in ((True, drafts), (False, versions)):
        for owner, slug, document in bind.execute(query).all():
            values = {"owner": owner, "slug": slug, "draft": draft, "words": words_of(slug, json.loads(document))}
            bind.execute(write, values)
