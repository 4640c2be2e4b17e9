"""Ways to ask Redis for leave to send, without anything around them.

`python -m benchmarks.permits NAME REDIS_URL` answers orders on standard input; an order's operation is the number of
scopes that the attempts are spread over. Nobody has to wait: every permit is granted at once, or the run has no result.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import uvloop

from benchmarks.orders import Order, Outcome, serve

Attempt = Callable[[int], Awaitable[bool]]
"""Get leave for the scope of this number, and say that it went well; True where it was given at once."""
RATE: Final = 1_000_000
WINDOW_MS: Final = 1_000
"""A short window: as many attempts as can be made stay below the rate, and logs are as long as they would be."""
THRESHOLD: Final = 5
RECOVERY_MS: Final = 30_000
LEASE_MS: Final = 35_000
_ZSET_LIMITER: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local window = tonumber(ARGV[2]) * 1000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], now, ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""


@asynccontextmanager
async def dibop(url: str) -> AsyncIterator[Attempt]:
    """As a worker does it: one connection, what is asked in one turn of the loop in one write, successes ride along."""
    from services.executor.resilience.scripts import Timing
    from services.executor.resilience.state import RedisState
    from services.executor.resilience.types import Ask, Limits

    state = RedisState(url, timing=Timing(window_ms=WINDOW_MS))
    limits = Limits(RATE, THRESHOLD, RECOVERY_MS)
    asks = [Ask(scope_key(number), limits, max_wait_ms=0, lease_ms=LEASE_MS) for number in range(10_000)]

    async def attempt(number: int) -> bool:
        ask = asks[number]
        decision = await state.acquire(ask)
        state.report_later(ask, decision)
        return decision.granted and not decision.wait_ms

    yield attempt
    await state.close()


@asynccontextmanager
async def plain(url: str) -> AsyncIterator[Attempt]:
    """The same scripts by plain redis-py: a call for each acquire and one for each report, from its pool."""
    import redis.asyncio

    from services.executor.resilience import scripts as own
    from services.executor.resilience.types import Ask, Limits

    timing, scripts = own.Timing(window_ms=WINDOW_MS), own.load_scripts()
    limits = Limits(RATE, THRESHOLD, RECOVERY_MS)
    async with redis.asyncio.Redis.from_url(url) as client:

        async def run(command: own.Command) -> list[Any]:
            registered = client.register_script(command.script.source)
            return own.unpack(await registered(keys=command.keys, args=command.arguments))

        async def attempt(number: int) -> bool:
            ask = Ask(scope_key(number), limits, max_wait_ms=0, lease_ms=LEASE_MS)
            decision = own.read_decision(await run(own.acquire_command(scripts, timing, ask, 0)), ask)
            epoch = decision.epoch
            await run(own.report_command(scripts, timing, ask, epoch, "success", told=0, cooldown_ms=0, cause=""))
            return decision.granted and not decision.wait_ms

        yield attempt


@asynccontextmanager
async def zset(url: str) -> AsyncIterator[Attempt]:
    """A sliding log in a sorted set, as it is usually written: a script for each call by redis-py, and no circuit."""
    import redis.asyncio

    members = itertools.count()
    async with redis.asyncio.Redis.from_url(url) as client:
        limiter = client.register_script(_ZSET_LIMITER)

        async def attempt(number: int) -> bool:
            return bool(await limiter(keys=[f"zset:{number}"], args=[RATE, WINDOW_MS, next(members)]))

        yield attempt


WAYS: Final[dict[str, Callable[[str], AbstractAsyncContextManager[Attempt]]]] = {
    "dibop": dibop,
    "plain": plain,
    "zset": zset,
}


def scope_key(number: int) -> Any:
    """Connections of one enterprise, ten to a connector."""
    from services.executor.resilience.types import ScopeKey

    return ScopeKey(f"res:{{platform.bench-{number // 10}}}:bench.6b0b1a5e-0000-4000-8000-{number:012}")


async def measure(attempt: Attempt, order: Order) -> Outcome:
    """Keep the order's number of attempts in flight, over as many scopes as it says."""
    clock, scopes = time.perf_counter, int(order.operation)
    numbers = itertools.cycle(range(scopes))
    outcome = Outcome(0.0, [])
    started = clock()
    until = started + order.seconds

    async def repeat() -> None:
        while (asked := clock()) < until:
            if await attempt(next(numbers)):
                outcome.latencies.append(clock() - asked)
            else:
                outcome.errors += 1
                outcome.first_error = "a permit was refused, or had to be waited for"

    await asyncio.gather(*(repeat() for _ in range(order.concurrency)))
    outcome.seconds = clock() - started
    return outcome


def main() -> None:
    name, url = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        way = WAYS[name](url)
        attempt = runner.run(way.__aenter__())
        serve(lambda order: runner.run(measure(attempt, order)))
        runner.run(way.__aexit__(None, None, None))


if __name__ == "__main__":
    main()
