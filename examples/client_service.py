"""A service of your own that uses a connector.

It looks at the weather of a few cities again and again, and listens for new versions of the connector meanwhile.
Start a stack with its demo, then this beside it:

    make up
    .venv/bin/python examples/client_service.py --home .dibop

What to take from it: one client for the whole life of the service; errors that say whether a repeat can do harm;
events in a task of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal

from dibop import Client
from dibop.errors import DibopError

CONNECTOR = "openweathermap"
CITIES = ("London", "Paris", "Tokyo")
ATTEMPTS = 3


async def temperature(client: Client, city: str) -> float:
    """Degrees Celsius; what can be repeated without harm is repeated a few times."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            result = await client.execute(CONNECTOR, "get_current_weather", q=city, units="metric", deadline=10)
            return float(result.raise_for_status().response["main"]["temp"])
        except DibopError as error:
            if not error.retryable or attempt == ATTEMPTS:
                raise
            await asyncio.sleep(error.retry_after_ms / 1000 if error.retry_after_ms else attempt)
    raise AssertionError("the last attempt returns or raises")


async def watch_versions(client: Client) -> None:
    """Tell of every version that is published, in the catalogue or in the own enterprise."""
    async with client.events("connector.*.version_published") as events:
        async for event in events:
            print(f"published: {event.identifier} {event.data.get('version')}", flush=True)


async def watch_weather(client: Client, every: float, rounds: int | None) -> None:
    """All cities at once, then a pause; `rounds` is for trying it out."""
    done = 0
    while rounds is None or done < rounds:
        answers = await asyncio.gather(*(temperature(client, city) for city in CITIES), return_exceptions=True)
        for city, answer in zip(CITIES, answers, strict=True):
            print(f"{city}: {answer if isinstance(answer, BaseException) else f'{answer:.1f} °C'}", flush=True)
        done += 1
        await asyncio.sleep(every)


async def serve(home: str | None, every: float, rounds: int | None) -> None:
    """Until SIGINT or SIGTERM, or until the rounds are done."""
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with Client.connect(home, name="client-service") as client:
        work = asyncio.create_task(watch_weather(client, every, rounds))
        tasks = [work, asyncio.create_task(watch_versions(client)), asyncio.create_task(stopping.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work


def main() -> None:
    parser = argparse.ArgumentParser(description="Look at the weather through a connector.")
    parser.add_argument("--home", help="home of the stack; DIBOP_HOME, else .dibop here")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two looks")
    parser.add_argument("--rounds", type=int, help="end after so many looks")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.home, arguments.every, arguments.rounds))


if __name__ == "__main__":
    main()
