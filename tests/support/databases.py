"""Databases with a service's structure: its migrations run once, what the tests get are copies."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import asyncpg
from sqlalchemy.engine import make_url

from shared.persistence.migrate import migrate


class SqliteTemplates:
    """Migrated files in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def copy(self, url: str, migrations: Path) -> None:
        """Make the file of `url`, which is not there yet, with the structure of the service of `migrations`."""
        template = self._directory / f"{migrations.parent.name}.db"
        if not template.exists():
            await migrate(f"sqlite+aiosqlite:///{template}", migrations)
        shutil.copyfile(template, make_url(url).database or "")


class PostgresTemplates:
    """Migrated databases of the server where `admin_url` may create some."""

    def __init__(self, admin_url: str) -> None:
        self._admin_url = admin_url
        self._made: dict[Path, str] = {}

    async def copy(self, url: str, migrations: Path) -> None:
        """Put a database with the structure of the service of `migrations` in the place of the empty one of `url`."""
        admin = await asyncpg.connect(self._admin_url)
        try:
            if migrations not in self._made:
                self._made[migrations] = template = f"template_{uuid.uuid4().hex}"
                await admin.execute(f'CREATE DATABASE "{template}"')
                await migrate(
                    make_url(url).set(database=template).render_as_string(hide_password=False),
                    migrations,
                )
            name = make_url(url).database
            await admin.execute(f'DROP DATABASE "{name}"')
            await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{self._made[migrations]}"')
        finally:
            await admin.close()

    async def drop(self) -> None:
        admin = await asyncpg.connect(self._admin_url)
        for template in self._made.values():
            await admin.execute(f'DROP DATABASE "{template}"')
        await admin.close()
