"""The clients that an executor is compared with, each in a process of its own.

`python -m benchmarks.peers NAME UPSTREAM` answers orders on standard input. Each does what a service without
this product does: send the request, read the body, decode the JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Final

import uvloop

from benchmarks import scenario
from benchmarks.orders import Order, Outcome, serve

Call = Callable[[], Awaitable[tuple[int, bytes, Any]]]
"""Send one request; the status, the body, and what its JSON says."""
Peer = Callable[[str, int], AbstractAsyncContextManager[Call]]
"""Open a client for the URL and the concurrency it will see."""

_HEADERS: Final = {scenario.API_KEY_HEADER: scenario.API_KEY}


@asynccontextmanager
async def bare_aiohttp(url: str, _concurrency: int) -> AsyncIterator[Call]:
    """aiohttp as it is, with an unbounded pool."""
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def call() -> tuple[int, bytes, Any]:
            async with session.get(url, params=scenario.PARAMETERS, headers=_HEADERS) as response:
                body = await response.read()
                return response.status, body, json.loads(body)

        yield call


@asynccontextmanager
async def tuned_httpx(url: str, concurrency: int) -> AsyncIterator[Call]:
    """httpx with as many connections as are used at a time: its pool looks through all of them on every request."""
    import httpx

    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with httpx.AsyncClient(limits=limits, trust_env=False) as client:

        async def call() -> tuple[int, bytes, Any]:
            response = await client.get(url, params=scenario.PARAMETERS, headers=_HEADERS)
            return response.status_code, response.content, response.json()

        yield call


@asynccontextmanager
async def diy_httpx(url: str, _concurrency: int) -> AsyncIterator[Call]:
    """The do-it-yourself stack on httpx as people write it: retries, limiter and breaker around a shared client."""
    import httpx

    async with httpx.AsyncClient(timeout=30) as client:
        yield _do_it_yourself(client, url)


@asynccontextmanager
async def diy_httpx_aiohttp(url: str, concurrency: int) -> AsyncIterator[Call]:
    """The same stack on httpx's aiohttp transport, with a pool that fits."""
    import httpx
    from httpx_aiohttp import HttpxAiohttpClient

    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with HttpxAiohttpClient(limits=limits, timeout=30, trust_env=False) as client:
        yield _do_it_yourself(client, url)


def _do_it_yourself(client: Any, url: str) -> Call:
    import httpx
    from aiolimiter import AsyncLimiter
    from purgatory import AsyncCircuitBreakerFactory
    from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

    limiter = AsyncLimiter(1_000_000, 1)  # never the bound, like the unlimited connector of the executor
    breaker = AsyncCircuitBreakerFactory(default_threshold=5, default_ttl=30)

    @retry(
        stop=stop_after_attempt(4),
        wait=wait_exponential_jitter(initial=1, max=60),
        retry=retry_if_exception_type(httpx.HTTPError),
        reraise=True,
    )
    async def call() -> tuple[int, bytes, Any]:
        async with limiter, await breaker.get_breaker("weather"):
            response = await client.get(url, params=scenario.PARAMETERS, headers=_HEADERS)
            response.raise_for_status()
            return response.status_code, response.content, response.json()

    return call


PEERS: Final[dict[str, Peer]] = {
    "aiohttp": bare_aiohttp,
    "httpx": tuned_httpx,
    "diy-httpx": diy_httpx,
    "diy-httpx-aiohttp": diy_httpx_aiohttp,
}


async def measure(call: Call, concurrency: int, seconds: float) -> Outcome:
    """Keep `concurrency` calls in flight for `seconds`."""
    clock = time.perf_counter
    outcome = Outcome(0.0, [])
    started = clock()
    until = started + seconds

    async def repeat() -> None:
        while (sent := clock()) < until:
            try:
                status, body, _ = await call()
            except Exception as error:  # noqa: BLE001 - whatever a client raises is an error of the run
                status, body = 0, repr(error).encode()
            # Bytes are compared, not what they say: the check must not cost a peer what it costs no executor.
            if status == 200 and body == scenario.BODY:
                outcome.latencies.append(clock() - sent)
            else:
                outcome.errors += 1
                outcome.first_error = outcome.first_error or f"{status} {body!r}"[:300]

    await asyncio.gather(*(repeat() for _ in range(concurrency)))
    outcome.seconds = clock() - started
    return outcome


class _Client:
    """Keeps the peer's client, and opens another when the concurrency changes."""

    def __init__(self, peer: Peer, url: str) -> None:
        self._peer = peer
        self._url = url
        self._stack = AsyncExitStack()
        self._concurrency = 0
        self._call: Call | None = None

    async def run(self, order: Order) -> Outcome:
        if self._call is None or order.concurrency != self._concurrency:
            await self._stack.aclose()
            self._call = await self._stack.enter_async_context(self._peer(self._url, order.concurrency))
            self._concurrency = order.concurrency
        return await measure(self._call, order.concurrency, order.seconds)

    async def aclose(self) -> None:
        await self._stack.aclose()


def main() -> None:
    name, upstream = sys.argv[1:]
    client = _Client(PEERS[name], upstream + scenario.PATH)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        serve(lambda order: runner.run(client.run(order)))
        runner.run(client.aclose())


if __name__ == "__main__":
    main()
