"""The registry's tables. `migrations/` makes them; a test holds the two together."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    true,
)
from sqlalchemy.dialects import postgresql

from shared.persistence.tenancy import owned_by

metadata: Final = MetaData()

NAME: Final = String(63).with_variant(postgresql.VARCHAR(63, collation="C"), "postgresql")
"""Names sort by their bytes, on both databases."""
DIGEST: Final = String(71)
INSTANT: Final = String(24)
IDENTITY: Final = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts only INTEGER primary keys up by itself."""

connectors: Final = Table(
    "connectors",
    metadata,
    Column("owner", NAME, primary_key=True),
    Column("slug", NAME, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("digest", DIGEST, nullable=False),
    Column("name", String(200), nullable=False),
    Column("name_folded", Text, nullable=False),
    Column("type", String(200), nullable=False),
    Column("saved_by", Text, nullable=False),
    Column("saved_at", INSTANT, nullable=False),
    Column("state", String(20), nullable=False, server_default="draft"),
    Column("published_name", String(200)),
    Column("published_name_folded", Text),
    Column("published_type", String(200)),
    Column("published_at", INSTANT),
    Column("latest_version", String(20)),
    Column("generation", Integer, nullable=False, server_default="0"),
    info=owned_by("owner"),
)
"""One row for each draft, locked by whoever changes the connector; what lists show
stands here too, names also case-folded, since the databases fold case differently."""

connector_words: Final = Table(
    "connector_words",
    metadata,
    Column("id", IDENTITY, primary_key=True, autoincrement=True),
    Column("owner", NAME, nullable=False),
    Column("slug", NAME, nullable=False),
    Column("draft", Boolean, nullable=False),
    Column("words", Text, nullable=False),
    ForeignKeyConstraint(["owner", "slug"], ["connectors.owner", "connectors.slug"]),
    UniqueConstraint("owner", "slug", "draft", name="connector_words_once"),
    info=owned_by("owner"),
)
"""What connectors are found by: one row for the draft, one for the latest version. The database itself keeps the
index over it: FTS5's table `connector_search`, or a column of this name with a GIN index."""

draft_revisions: Final = Table(
    "draft_revisions",
    metadata,
    Column("owner", NAME, primary_key=True),
    Column("slug", NAME, primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("digest", DIGEST, nullable=False),
    Column("document", Text, nullable=False),
    Column("saved_by", Text, nullable=False),
    Column("saved_at", INSTANT, nullable=False),
    Column("changed", JSON, nullable=False, server_default="[]"),
    Column("restored_from", Integer),
    ForeignKeyConstraint(["owner", "slug"], ["connectors.owner", "connectors.slug"]),
    info=owned_by("owner"),
)
"""Every document that was ever saved, so that a stale save can be told what changed."""

versions: Final = Table(
    "versions",
    metadata,
    Column("owner", NAME, primary_key=True),
    Column("slug", NAME, primary_key=True),
    Column("version", String(20), primary_key=True),
    Column("digest", DIGEST, nullable=False),
    Column("scope", String(20), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("document", Text, nullable=False),
    Column("publication_id", String(64), nullable=False, unique=True),
    Column("published_by", Text, nullable=False),
    Column("published_at", INSTANT, nullable=False),
    Column("notes", Text, nullable=False),
    Column("sends", JSON),
    ForeignKeyConstraint(
        ["owner", "slug", "revision"], ["draft_revisions.owner", "draft_revisions.slug", "draft_revisions.revision"]
    ),
    info=owned_by("owner"),
)
"""Published versions: rows that triggers keep as they are. What changes stands in `version_states`."""

version_states: Final = Table(
    "version_states",
    metadata,
    Column("owner", NAME, primary_key=True),
    Column("slug", NAME, primary_key=True),
    Column("version", String(20), primary_key=True),
    Column("state", String(20), nullable=False),
    Column("successor", NAME),
    Column("date", String(10)),
    Column("changed_by", Text, nullable=False),
    Column("changed_at", INSTANT, nullable=False),
    ForeignKeyConstraint(["owner", "slug", "version"], ["versions.owner", "versions.slug", "versions.version"]),
    CheckConstraint("state IN ('published', 'deprecated', 'unpublished', 'retired')", name="version_state_known"),
    info=owned_by("owner"),
)

version_moves: Final = Table(
    "version_moves",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("owner", NAME, nullable=False),
    Column("slug", NAME, nullable=False),
    Column("versions", JSON, nullable=False),
    Column("state", String(20), nullable=False),
    Column("successor", NAME),
    Column("date", String(10)),
    Column("notes", Text, nullable=False),
    Column("moved_by", Text, nullable=False),
    Column("moved_at", INSTANT, nullable=False),
    info=owned_by("owner"),
)
"""Every move of versions to a later state: rows that triggers keep as they are. By its id a repeated one is known."""

Index("version_moves_of_connector", version_moves.c.owner, version_moves.c.slug)

connections: Final = Table(
    "connections",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("enterprise", NAME, nullable=False),
    Column("connector", NAME, nullable=False),
    Column("owner", NAME, nullable=False),
    Column("name", NAME, nullable=False),
    Column("version_policy", String(20), nullable=False),
    Column("origin", String(300), nullable=False),
    Column("kid", String(64), nullable=False),
    Column("plain_values", JSON, nullable=False),
    Column("sealed_values", JSON, nullable=False),
    Column("masked_tails", JSON, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", INSTANT, nullable=False),
    Column("deleted", Boolean, nullable=False, server_default=false()),
    Column("deleted_by", Text),
    Column("deleted_at", INSTANT),
    Column("generation", Integer, nullable=False),
    Column("projected_generation", Integer, nullable=False, server_default="0"),
    Column("credentials_generation", Integer, nullable=False, server_default="1"),
    Column("rotated_by", Text),
    Column("rotated_at", INSTANT),
    Column("token_generation", Integer, nullable=False, server_default="0"),
    Column("token_kid", String(64)),
    Column("token_sealed", Text),
    Column("token_scopes", Text),
    Column("token_stored_at", INSTANT),
    Column("is_default", Boolean, nullable=False, server_default=false()),
    Column("consented_version", String(20)),
    Column("consented_terms", JSON),
    Column("consented_digest", String(16), nullable=False, server_default=""),
    Column("consented_by", Text),
    Column("consented_at", INSTANT),
    info=owned_by("enterprise"),
)
"""Connections and the tombstones of deleted ones; `generation` grows over all rows of one name.

`token_generation` grows for as long as the connection lives, also where the token has been dropped."""

Index(
    "connections_live_name",
    connections.c.enterprise,
    connections.c.connector,
    connections.c.name,
    unique=True,
    sqlite_where=connections.c.deleted.is_(False),
    postgresql_where=connections.c.deleted.is_(False),
)
Index(
    "connections_one_default",
    connections.c.enterprise,
    connections.c.connector,
    unique=True,
    sqlite_where=connections.c.is_default & connections.c.deleted.is_(False),
    postgresql_where=connections.c.is_default & connections.c.deleted.is_(False),
)
Index(
    "connections_name", connections.c.enterprise, connections.c.connector, connections.c.name, connections.c.generation
)
Index(
    "connections_unprojected",
    connections.c.id,
    sqlite_where=connections.c.projected_generation < connections.c.generation,
    postgresql_where=connections.c.projected_generation < connections.c.generation,
)

test_credentials: Final = Table(
    "test_credentials",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("enterprise", NAME, nullable=False),
    Column("person", Text, nullable=False),
    Column("connector", NAME, nullable=False),
    Column("origin", String(300), nullable=False),
    Column("kid", String(64), nullable=False),
    Column("plain_values", JSON, nullable=False),
    Column("sealed_values", JSON, nullable=False),
    Column("masked_tails", JSON, nullable=False),
    Column("saved_at", INSTANT, nullable=False),
    Column("expires_at", INSTANT, nullable=False),
    UniqueConstraint("enterprise", "person", "connector", "origin", name="test_credentials_once"),
    info=owned_by("enterprise"),
)
"""Credentials that people keep for tests of drafts, until they expire."""

Index("test_credentials_expiry", test_credentials.c.expires_at)

seal_keys: Final = Table(
    "seal_keys",
    metadata,
    Column("kid", String(64), primary_key=True),
    Column("retired_at", INSTANT),
    Column("retired_by", Text),
)
"""Sealing keys that something was ever sealed to. Who seals to one holds its row, and who retires it waits for them."""

enterprises: Final = Table(
    "enterprises",
    metadata,
    Column("id", NAME, primary_key=True),
    Column("name", Text),
    Column("named_at", INSTANT, nullable=False, server_default=""),
    Column("named_sequence", BigInteger, nullable=False, server_default="0"),
    Column("suspended", Boolean, nullable=False, server_default=false()),
    Column("reason", Text, nullable=False, server_default=""),
    Column("changed_at", INSTANT, nullable=False, server_default=""),
    Column("changed_sequence", BigInteger, nullable=False, server_default="0"),
    Column("sdk_access", Boolean, nullable=False, server_default=true()),
    Column("sdk_changed_at", INSTANT, nullable=False, server_default=""),
    Column("sdk_changed_sequence", BigInteger, nullable=False, server_default="0"),
    Column("generation", Integer, nullable=False, server_default="0"),
    Column("projected_generation", Integer, nullable=False, server_default="0"),
    info=owned_by("id"),
)
"""What was told of enterprises: for each property, when it was last told, so that older news change nothing."""

audit: Final = Table(
    "audit",
    metadata,
    Column("id", IDENTITY, primary_key=True, autoincrement=True),
    Column("entry_id", String(64), nullable=False),
    Column("at", INSTANT, nullable=False),
    Column("actor", Text, nullable=False),
    Column("enterprise", NAME, nullable=False),
    Column("action", Text, nullable=False),
    Column("noun", NAME, nullable=False),
    Column("identifier", Text, nullable=False),
    Column("details", JSON, nullable=False),
    Column("request_id", Text, nullable=False),
    UniqueConstraint("entry_id", name="audit_entry_once"),
    info=owned_by("enterprise"),
)
"""Who did what, when, in which request; triggers keep its rows as they are."""

Index("audit_of_enterprise", audit.c.enterprise, audit.c.id)
Index("audit_of_thing", audit.c.enterprise, audit.c.noun, audit.c.identifier, audit.c.id)

calls: Final = Table(
    "calls",
    metadata,
    Column("id", NAME, primary_key=True),
    Column("enterprise", NAME, nullable=False),
    Column("connector", NAME, nullable=False),
    Column("operation", NAME, nullable=False),
    Column("connection", NAME),
    Column("version", String(20)),
    Column("outcome", String(40), nullable=False),
    Column("status", Integer, nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("duration_ms", Double, nullable=False),
    Column("waited_ms", Double, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("retry_stopped", String(20)),
    Column("schema_valid", Boolean),
    Column("caller", Text),
    Column("reply_bytes", BigInteger, nullable=False),
    Column("request_id", String(128), nullable=False),
    Column("worker", String(64), nullable=False),
    Index("calls_by_time", "enterprise", "started_ms", "id"),
    Index("calls_by_connector", "enterprise", "connector", "started_ms", "id"),
    Index("calls_by_request", "enterprise", "request_id"),
    Index("calls_by_age", "started_ms"),
    info=owned_by("enterprise"),
)
"""The call log: metadata of executions, as executors told it."""
