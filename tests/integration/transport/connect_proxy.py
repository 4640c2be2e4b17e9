"""An HTTP proxy that knows CONNECT alone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

HALF_A_HEAD = b"HTTP/1.1 200 Connection"


@dataclass
class ConnectProxy:
    """Opens tunnels to where `leads` says; an async context manager.

    Where there are `words` it says them in place of that and closes; where it is `silent` it says nothing at all.
    `asked` are the targets of CONNECT in order of arrival, `credentials` what came with them.
    """

    leads: Mapping[str, int] = field(default_factory=dict)
    words: bytes = b""
    silent: bool = False
    asked: list[str] = field(default_factory=list)
    credentials: list[str | None] = field(default_factory=list)
    port: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._serve(reader, writer)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, target, _ = request.split(" ")
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        assert (method, headers["host"]) == ("CONNECT", target.lower())
        self.asked.append(target)
        self.credentials.append(next((line[21:] for line in lines if line.startswith("Proxy-Authorization: ")), None))
        if self.silent:
            await reader.read()
            return
        if self.words or target not in self.leads:
            writer.write(self.words or b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nno!")
            await writer.drain()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.leads[target])
        writer.write(b"HTTP/1.1 200 Connection established\r\nVia: us\r\n\r\n")
        try:
            await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer))
        finally:
            far_writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
