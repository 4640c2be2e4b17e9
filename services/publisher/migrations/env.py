"""Alembic's entry; `shared.persistence.migrate` brings the connection."""

from services.publisher.store.tables import metadata
from shared.persistence.migrate import run_in_alembic

run_in_alembic(metadata)
