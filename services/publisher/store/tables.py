"""The publisher's tables. `migrations/` makes them; a test holds the two together."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from services.publisher.domain.moves import OPEN_STATES
from shared.persistence.tenancy import owned_by

metadata: Final = sa.MetaData()

NAME: Final = sa.String(63)
DIGEST: Final = sa.String(71)
INSTANT: Final = sa.String(24)
ROW_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""SQLite counts only INTEGER primary keys up by itself."""

evidence: Final = sa.Table(
    "evidence",
    metadata,
    sa.Column("id", ROW_ID, primary_key=True, autoincrement=True),
    sa.Column("run_id", sa.String(36), nullable=False),
    sa.Column("owner", NAME, nullable=False),
    sa.Column("slug", NAME, nullable=False),
    sa.Column("operation", NAME, nullable=False),
    sa.Column("operation_digest", DIGEST, nullable=False),
    sa.Column("outcome", sa.String(4), nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("status_code", sa.Integer),
    sa.Column("duration_ms", sa.Float),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("at", INSTANT, nullable=False),
    sa.CheckConstraint("outcome IN ('pass', 'fail')", name="evidence_outcome_known"),
    info=owned_by("owner"),
)
"""Every test of every operation; the last one of a digest is the one that counts."""

sa.Index("evidence_of_operation", evidence.c.owner, evidence.c.slug, evidence.c.operation_digest, evidence.c.id)

test_runs: Final = sa.Table(
    "test_runs",
    metadata,
    sa.Column("number", ROW_ID, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("owner", NAME, nullable=False),
    sa.Column("slug", NAME, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("digest", DIGEST, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("request_id", sa.String(128), nullable=False),
    sa.Column("started_at", INSTANT, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("ended_at", INSTANT),
    sa.Column("reason", sa.Text),
    sa.Column("passed", sa.Integer, nullable=False),
    sa.Column("failed", sa.Integer, nullable=False),
    sa.Column("skipped", sa.Integer, nullable=False),
    sa.Column("beats", sa.Integer, nullable=False),
    sa.CheckConstraint(
        "state IN ('running', 'passed', 'failed', 'cancelled', 'interrupted')", name="test_run_state_known"
    ),
    sqlite_autoincrement=True,
    info=owned_by("owner"),
)
"""The test runs that are kept. `beats` grows as long as somebody is at the run."""

_RUN_GOES_ON: Final = test_runs.c.state == "running"
sa.Index(
    "test_runs_one_under_way",
    test_runs.c.owner,
    test_runs.c.slug,
    test_runs.c.actor,
    unique=True,
    sqlite_where=_RUN_GOES_ON,
    postgresql_where=_RUN_GOES_ON,
)
sa.Index("test_runs_of_connector", test_runs.c.owner, test_runs.c.slug, test_runs.c.number)

test_steps: Final = sa.Table(
    "test_steps",
    metadata,
    sa.Column("run_id", sa.String(36), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("owner", NAME, nullable=False),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("exchange", sa.Text),
    info=owned_by("owner"),
)
"""The steps of the runs, and what they sent and got, both as JSON."""

moves: Final = sa.Table(
    "moves",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("owner", NAME, nullable=False),
    sa.Column("slug", NAME, nullable=False),
    sa.Column("base_version", sa.String(20)),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("notes", sa.Text, nullable=False),
    sa.Column("request_id", sa.String(128), nullable=False),
    sa.Column("created_at", INSTANT, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("entry", sa.Text),
    sa.Column("refusal_code", sa.String(40)),
    sa.Column("refusal_detail", sa.Text),
    sa.CheckConstraint("state IN ('recorded', 'applied', 'done', 'failed')", name="move_state_known"),
    info=owned_by("owner"),
)
"""Every move that was ever begun. `content` is a Release or a Withdrawal as JSON, `entry` the catalogue entry."""

_IS_OPEN: Final = moves.c.state.in_([state.value for state in OPEN_STATES])
sa.Index(
    "moves_one_open",
    moves.c.owner,
    moves.c.slug,
    unique=True,
    sqlite_where=_IS_OPEN,
    postgresql_where=_IS_OPEN,
)
sa.Index("moves_of_connector", moves.c.owner, moves.c.slug, moves.c.state)

reviews: Final = sa.Table(
    "reviews",
    metadata,
    sa.Column("number", ROW_ID, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("owner", NAME, nullable=False),
    sa.Column("slug", NAME, nullable=False),
    sa.Column("scope", sa.String(20), nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("digest", DIGEST, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("bump", sa.String(5)),
    sa.Column("notes", sa.Text, nullable=False),
    sa.Column("saved_by", sa.Text, nullable=False),
    sa.Column("requested_by", sa.Text, nullable=False),
    sa.Column("requested_at", INSTANT, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("decided_by", sa.Text),
    sa.Column("decided_at", INSTANT),
    sa.Column("move", sa.String(36)),
    sa.CheckConstraint("state IN ('open', 'approved', 'rejected', 'superseded')", name="review_state_known"),
    sqlite_autoincrement=True,
    info=owned_by("owner"),
)
"""Every review that was asked for, with the document that it is about."""

_REVIEW_IS_OPEN: Final = reviews.c.state == "open"
sa.Index(
    "reviews_one_open",
    reviews.c.owner,
    reviews.c.slug,
    unique=True,
    sqlite_where=_REVIEW_IS_OPEN,
    postgresql_where=_REVIEW_IS_OPEN,
)
sa.Index("reviews_of_owner", reviews.c.owner, reviews.c.number)

review_comments: Final = sa.Table(
    "review_comments",
    metadata,
    sa.Column("id", ROW_ID, primary_key=True, autoincrement=True),
    sa.Column("owner", NAME, nullable=False),
    sa.Column("review", sa.String(36), nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("at", INSTANT, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    info=owned_by("owner"),
)

sa.Index("review_comments_of_review", review_comments.c.owner, review_comments.c.review, review_comments.c.id)

audit_queue: Final = sa.Table(
    "audit_queue",
    metadata,
    sa.Column("id", ROW_ID, primary_key=True, autoincrement=True),
    sa.Column("entry_id", sa.String(64), nullable=False, unique=True),
    sa.Column("enterprise", NAME, nullable=False),
    sa.Column("entry", sa.Text, nullable=False),
    sqlite_autoincrement=True,
    info=owned_by("enterprise"),
)
"""Audit entries, as JSON, that the registry has not taken yet."""
