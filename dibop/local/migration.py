"""`dibop migrate`: databases, streams and buckets, of a home or of the environment."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Mapping

from dibop.bus import Bus
from dibop.errors import LocalStackError
from dibop.local import nats_users, parts
from dibop.local.home import Home
from dibop.local.stack import bootstrap

_CONNECT_SECONDS = 10.0
_DATABASES = ("registry", "publisher")


async def migrate_all(home: str | None, tell: Callable[[str, str], None]) -> None:
    """Everything, one after the other; the first failure ends it."""
    where = Home.of(home)
    where.prepare()
    for service in _DATABASES:
        await _migrate(service, parts.database(where, service))
        tell(f"database {service}", "up to date")
    bus = Bus(nats_users.operator_context(where), name="dibop-migrate")
    await bus.open(_CONNECT_SECONDS)
    try:
        tell("streams and buckets", await bootstrap(bus))
    finally:
        await bus.close()


async def _migrate(service: str, environment: Mapping[str, str]) -> None:
    """Bring a service's database to its newest schema, in a process of the service."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"services.{service}",
        "migrate",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **environment},
    )
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        tail = "\n".join(f"  {line}" for line in output.decode(errors="replace").strip().splitlines()[-15:])
        raise LocalStackError(f"The database of {service} could not be migrated:\n{tail}")
