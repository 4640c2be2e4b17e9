"""Databases: engines, migrations, outbox and inbox."""
