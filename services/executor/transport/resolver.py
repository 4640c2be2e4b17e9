"""Names to addresses, once: the addresses that were checked are the ones connected to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from time import monotonic

from services.executor.transport.egress import Address, EgressPolicy, literal_address
from shared.tasks import mark_seen

Lookup = Callable[[str], Awaitable[Sequence[str]]]


async def system_lookup(host: str) -> list[str]:
    """The addresses the operating system knows for `host`, in its order. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    )
    return list(dict.fromkeys(str(sockaddr[0]) for _, _, _, _, sockaddr in found))


class CheckedResolver:
    """Resolves names, remembers an answer for `ttl` seconds, and hands out only what the
    egress policy allows. Callers that ask for one name at the same time share one lookup.
    """

    def __init__(
        self, policy: EgressPolicy, lookup: Lookup = system_lookup, *, ttl: float = 10.0, size: int = 1024
    ) -> None:
        self._policy = policy
        self._lookup = lookup
        self._ttl = ttl
        self._size = size
        self._answers: dict[str, tuple[float, Sequence[str]]] = {}
        self._lookups: dict[str, asyncio.Task[Sequence[str]]] = {}

    async def resolve(self, host: str, port: int) -> list[Address]:
        """The addresses of `host`, which may itself be one, and is in its one spelling.

        Raises OSError where it has none, and EgressDenied where not all of them are allowed.
        """
        literal = literal_address(host)
        addresses = [literal] if literal else [ip_address(text) for text in await self._addresses(host)]
        self._policy.check(host, port, addresses)
        return addresses

    def close(self) -> None:
        for task in self._lookups.values():
            task.cancel()
        self._answers.clear()

    async def _addresses(self, host: str) -> Sequence[str]:
        known = self._answers.get(host)
        if known is not None and monotonic() < known[0]:
            return known[1]
        task = self._lookups.get(host)
        if task is None:
            task = self._lookups[host] = asyncio.create_task(self._look_up(host))
            task.add_done_callback(mark_seen)
        # One caller's timeout must not end the lookup that others wait for.
        return await asyncio.shield(task)

    async def _look_up(self, host: str) -> Sequence[str]:
        try:
            addresses = await self._lookup(host)
            if not addresses:
                raise socket.gaierror(socket.EAI_NONAME, "the name has no address")
        finally:
            del self._lookups[host]
        self._answers.pop(host, None)
        while len(self._answers) >= self._size:
            del self._answers[next(iter(self._answers))]
        self._answers[host] = (monotonic() + self._ttl, addresses)
        return addresses
