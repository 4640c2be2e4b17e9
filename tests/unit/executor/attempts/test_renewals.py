"""Responses that ask for other credentials: one more attempt, whatever the method, which counts for no retry."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from services.executor.transport.interface import HttpRequest, HttpResponse
from tests.unit.executor.attempts.pipeline import GET, OK, POST, REFUSED, Pipeline, status


@dataclass
class Renewal:
    """Renews `times` times; `none` where there is nothing to renew with."""

    times: int = 1
    none: bool = False
    asked: list[int] = field(default_factory=list)
    renewed: int = 0

    def expired(self, response: HttpResponse) -> bool:
        self.asked.append(response.status)
        return response.status == 401 and self.renewed < self.times

    async def renew(self) -> HttpRequest | None:
        self.renewed += 1
        return None if self.none else msgspec.structs.replace(GET, url=f"{GET.url}?renewed={self.renewed}")


async def test_a_401_is_followed_by_one_attempt_with_other_credentials(pipe: Pipeline) -> None:
    pipe.answers(status(401), OK)
    sent = await pipe.send(resilience={"max_retries": 0}, renewal=Renewal(), **POST)
    assert [attempt.status_code for attempt in sent.attempts] == [401, 200]
    assert pipe.transport.urls == [GET.url, f"{GET.url}?renewed=1"]
    assert (sent.retry_stopped, pipe.counters.retries, pipe.counters.permits) == (None, 0, 2)


async def test_the_second_401_is_the_result(pipe: Pipeline) -> None:
    pipe.answers(status(401))
    sent = await pipe.send(renewal=Renewal())
    assert [attempt.status_code for attempt in sent.attempts] == [401, 401]
    assert (sent.response.status, sent.retry_stopped) == (401, None)


async def test_without_other_credentials_the_401_is_the_result(pipe: Pipeline) -> None:
    pipe.answers(status(401))
    sent = await pipe.send(renewal=Renewal(none=True))
    assert [attempt.status_code for attempt in sent.attempts] == [401]


async def test_a_renewal_takes_no_retry_away(pipe: Pipeline) -> None:
    pipe.answers(REFUSED, status(401), status(500), OK)
    sent = await pipe.send(resilience={"max_retries": 2, "retry_delay_seconds": 1}, renewal=Renewal())
    assert [attempt.status_code or attempt.error for attempt in sent.attempts] == [
        "upstream-unreachable", 401, 500, 200,
    ]  # fmt: skip
    assert pipe.transport.urls[1:] == [GET.url, *[f"{GET.url}?renewed=1"] * 2]


async def test_a_401_is_a_success_to_the_circuit_and_the_repeat_is_held_by_the_limits(pipe: Pipeline) -> None:
    pipe.answers(status(401), OK)
    resilience = {"circuit_breaker_threshold": 1, "rate_limit_per_minute": 1}
    sent = await pipe.send(left=5, resilience=resilience, renewal=Renewal())
    assert [attempt.status_code for attempt in sent.attempts] == [401]
    assert (sent.response.status, sent.retry_stopped) == (401, "rate-limited")
    assert pipe.counters.circuits == {}
