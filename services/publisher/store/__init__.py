"""The publisher's data in SQL: SQLite or PostgreSQL, the same statements on both."""

from services.publisher.store.store import SqlStore

__all__ = ["SqlStore"]
