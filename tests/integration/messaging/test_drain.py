"""SIGTERM loses no request: a service under load stops taking, answers what it took, and goes."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import nats.errors
import pytest

from shared.contracts.errors import DibopError
from shared.messaging.client import command
from shared.messaging.connection import BusClient
from shared.security.principals import Role
from tests.support.polling import eventually
from tests.support.processes import ManagedProcess
from tests.support.slow_service import Worked
from tests.support.tokens import Tokens

SUBJECT = "registry.v1.acme.work.do"
REPOSITORY = Path(__file__).parents[3]

StartService = Callable[[], ManagedProcess]


@pytest.fixture
def start_service(nats_url: str, tokens: Tokens, tmp_path: Path) -> Iterator[StartService]:
    started: list[ManagedProcess] = []

    def start() -> ManagedProcess:
        process = ManagedProcess(
            [sys.executable, "-m", "tests.support.slow_service"],
            log=tmp_path / f"service-{len(started)}.log",
            ready=lambda: '"event": "Ready"' in process.output,
            environment={
                "DIBOP_NATS_URL": nats_url,
                "DIBOP_TOKEN_KEY_FILE": str(tokens.key_file),
                "DIBOP_DRAIN_SECONDS": "20",
            },
            cwd=REPOSITORY,
        )
        started.append(process)
        process.start()
        return process

    yield start
    for process in started:
        process.kill()


class Load:
    """Callers that keep asking, and what became of each request."""

    def __init__(self, nc: BusClient, token: str) -> None:
        self._nc = nc
        self._token = token
        self._stopped = False
        self.outcomes: Counter[str] = Counter()

    async def run(self, callers: int) -> None:
        await asyncio.gather(*(self._caller(number) for number in range(callers)))

    def stop(self) -> None:
        self._stopped = True

    async def _caller(self, number: int) -> None:
        while not self._stopped:
            try:
                done = await command(self._nc, SUBJECT, {"number": number}, Worked, token=self._token, timeout=30)
                self.outcomes["answered" if done.number == number else "wrong answer"] += 1
            except DibopError as error:
                self.outcomes[error.code] += 1


@pytest.fixture
def load(nc: BusClient, tokens: Tokens) -> Load:
    return Load(nc, tokens.issue("eve", "acme", Role.ENTERPRISE_ADMIN))


async def test_no_request_is_lost_when_one_of_two_goes(start_service: StartService, load: Load) -> None:
    first, _second = start_service(), start_service()
    running = asyncio.create_task(load.run(callers=64))
    await eventually(lambda: load.outcomes["answered"] > 100)

    first.signal(signal.SIGTERM)
    code = await asyncio.to_thread(first.wait)
    answered_without_it = load.outcomes["answered"]
    await eventually(lambda: load.outcomes["answered"] > answered_without_it + 100)
    load.stop()
    await running

    assert code == 0, first.output
    assert set(load.outcomes) == {"answered"}


async def test_the_last_one_answers_what_it_took_and_callers_learn_at_once_that_it_went(
    start_service: StartService, load: Load
) -> None:
    only = start_service()
    running = asyncio.create_task(load.run(callers=64))
    await eventually(lambda: load.outcomes["answered"] > 100)

    only.signal(signal.SIGTERM)
    await eventually(lambda: load.outcomes["overloaded"] > 0, what="callers are told that nobody answers")
    load.stop()
    await running

    assert await asyncio.to_thread(only.wait) == 0, only.output
    assert set(load.outcomes) == {"answered", "overloaded"}


async def test_a_request_longer_than_the_others_is_still_answered(
    start_service: StartService, nc: BusClient, tokens: Tokens
) -> None:
    service = start_service()
    token = tokens.issue("eve", "acme", Role.ENTERPRISE_ADMIN)
    long = asyncio.create_task(command(nc, SUBJECT, {"number": 7, "seconds": 1.5}, Worked, token=token, timeout=30))
    await command(nc, SUBJECT, {"number": 1}, Worked, token=token, timeout=30)

    service.signal(signal.SIGTERM)

    assert (await long).number == 7
    assert await asyncio.to_thread(service.wait) == 0, service.output


async def test_a_service_that_waits_for_nats_can_be_stopped(tokens: Tokens, tmp_path: Path) -> None:
    process = ManagedProcess(
        [sys.executable, "-m", "tests.support.slow_service"],
        log=tmp_path / "service.log",
        ready=lambda: "Trouble with NATS" in process.output,
        environment={"DIBOP_NATS_URL": "nats://127.0.0.1:9", "DIBOP_TOKEN_KEY_FILE": str(tokens.key_file)},
        cwd=REPOSITORY,
    )
    process.start()

    assert await asyncio.to_thread(process.stop) == 0, process.output


async def test_readiness_is_told_only_when_every_subscription_has_reached_the_server(
    start_service: StartService, nc: BusClient, tokens: Tokens
) -> None:
    async def ping() -> bool:
        try:
            await nc.request("$SRV.PING.dibop-registry", timeout=0.5)
        except nats.errors.Error:
            return False
        return True

    assert not await ping()
    starting = asyncio.create_task(asyncio.to_thread(start_service))
    await eventually(ping)

    token = tokens.issue("eve", "acme", Role.ENTERPRISE_ADMIN)
    assert (await command(nc, SUBJECT, {"number": 1}, Worked, token=token, timeout=5)).number == 1
    await starting
