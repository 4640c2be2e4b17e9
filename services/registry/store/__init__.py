"""The registry's data in SQL: SQLite or PostgreSQL, the same statements on both."""

from services.registry.store.store import SqlStore

__all__ = ["SqlStore"]
