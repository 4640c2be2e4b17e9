"""The publisher's data in SQL: SQLite or PostgreSQL, the same statements on both."""

from services.publisher.store.store import SqlStore
from services.publisher.store.test_runs import SqlTestRuns

__all__ = ["SqlStore", "SqlTestRuns"]
