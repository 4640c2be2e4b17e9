"""Which Redis has a scope: the one there is, or a node of a cluster, which is found out when it says so."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import Any, Final

from redis.asyncio.connection import parse_url
from redis.crc import key_slot
from redis.exceptions import AskError, MovedError

from services.executor.resilience.coalescing import Line
from services.executor.resilience.connection import CONNECT_SECONDS, LostError, MakeConnection, connections, packed

Address = tuple[str, int]
_SLOTS: Final = packed("CLUSTER", "SLOTS")
ASKING: Final = packed("ASKING")


@lru_cache(maxsize=65_536)
def _slot_of(key: str) -> int:
    return key_slot(key.encode())


class Nodes:
    """Lines to the nodes. Until a node answers that a slot is elsewhere, everything goes to the one in the URL."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._host = parse_url(url).get("host", "localhost")
        self._seed = Line(connections(url))
        self._lines: dict[Address, Line] = {}
        self._beside: dict[Address | None, Line] = {}
        self._slots: list[Address | None] = []
        self._discovering: asyncio.Task[None] | None = None

    def line(self, key: str) -> Line:
        """The line to the node that has `key`, as far as is known."""
        address = self._address(key)
        return self._seed if address is None else self._at(address)

    def beside(self, key: str) -> Line:
        """A second line to the same node, for a look past the first."""
        address = self._address(key)
        line = self._beside.get(address)
        if line is None:
            line = self._beside[address] = Line(self._connections(address))
        return line

    async def redirected(self, error: AskError) -> Line:
        """The line that `error` points to; where the slot has moved for good, all slots are looked up again."""
        if isinstance(error, MovedError):
            await self.discover()
        return self._at((error.host or self._host, error.port))

    async def discover(self) -> None:
        """Learn which node has which slots, from whichever node tells; without an answer nothing changes."""
        if self._discovering is None:
            self._discovering = asyncio.create_task(self._discover())
        await asyncio.shield(self._discovering)

    @property
    def clustered(self) -> bool:
        return bool(self._slots)

    async def close(self) -> None:
        if self._discovering is not None:
            self._discovering.cancel()
        for line in (self._seed, *self._lines.values(), *self._beside.values()):
            await line.close()

    async def _discover(self) -> None:
        try:
            for line in (self._seed, *self._lines.values()):
                try:
                    async with asyncio.timeout(CONNECT_SECONDS):
                        answer = await line.say(_SLOTS)
                except (LostError, TimeoutError):
                    continue
                if isinstance(answer, list):
                    self._learn(answer)
                    return
        finally:
            self._discovering = None

    def _learn(self, ranges: list[Any]) -> None:
        slots: list[Address | None] = [None] * 16_384
        for first, last, (host, port, *_), *_ in ranges:
            slots[first : last + 1] = [(host.decode() or self._host, port)] * (last + 1 - first)
        self._slots = slots

    def _address(self, key: str) -> Address | None:
        return self._slots[_slot_of(key)] if self._slots else None

    def _connections(self, address: Address | None) -> MakeConnection:
        return connections(self._url) if address is None else connections(self._url, host=address[0], port=address[1])

    def _at(self, address: Address) -> Line:
        line = self._lines.get(address)
        if line is None:
            line = self._lines[address] = Line(self._connections(address))
        return line
