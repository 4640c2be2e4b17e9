"""Ports of a stack: free ones, kept for the next start, so that addresses stay what they were."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from typing import Final

from dibop.errors import LocalStackError
from dibop.local.home import Home

HOST: Final = "127.0.0.1"
NATS: Final = "nats"
REDIS: Final = "redis"
DEMO: Final = "demo-weather"
CONSOLE: Final = "console"
PARTS: Final = (NATS, REDIS, DEMO, CONSOLE)


def assign(home: Home, parts: Sequence[str] = PARTS) -> dict[str, int]:
    """A free port for each part: the one it had before where that is free, else a new one.

    The demo upstream keeps its port once the demo's connector is published, whose version names it: a
    LocalStackError says so where another program has taken the port.
    """
    remembered = _remembered(home)
    ports: dict[str, int] = {}
    for part in parts:
        before = remembered.get(part)
        if before is not None and is_free(before):
            ports[part] = before
            continue
        if before is not None and part == DEMO and home.demo_marker.exists():
            raise LocalStackError(
                f"Port {before} is taken by another program, and the published demo connector calls the demo weather "
                f"API there. Free the port, or start with a new home: 'dibop up --demo --home DIR'."
            )
        ports[part] = _free_port(avoid=set(remembered.values()) | set(ports.values()))
    home.ports_file.write_text(json.dumps({**remembered, **ports}, indent=2) + "\n")
    return ports


def is_free(port: int) -> bool:
    """True where a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _free_port(avoid: set[int]) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = int(probe.getsockname()[1])
        if port not in avoid:
            return port


def _remembered(home: Home) -> dict[str, int]:
    try:
        content = json.loads(home.ports_file.read_text())
    except (OSError, ValueError):
        return {}
    return {k: v for k, v in content.items() if isinstance(v, int)} if isinstance(content, dict) else {}
