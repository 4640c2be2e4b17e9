"""One attempt: its time, its outcome, and the redirects within it."""

from __future__ import annotations

import pytest

from services.executor.transport.interface import TransportTimeout
from tests.unit.executor.attempts.pipeline import BROKEN, DENIED, GET, OK, POST, Pipeline, status


async def test_a_response_comes_with_its_attempt(pipe: Pipeline) -> None:
    sent = await pipe.send()
    (attempt,) = sent.attempts
    assert (sent.response, attempt.status_code, attempt.error, sent.retry_stopped) == (OK, 200, None, None)
    assert (pipe.state.later, pipe.state.reported, pipe.watcher.successes) == (1, [], 1)


@pytest.mark.parametrize("code", [404, 429, 500])
async def test_every_status_is_a_result(pipe: Pipeline, code: int) -> None:
    pipe.answers(status(code, "2"))
    sent = await pipe.send(resilience={"max_retries": 0})
    assert (sent.response.status, sent.retry_after_ms) == (code, 2000)


async def test_no_response_is_an_error_with_its_attempt(pipe: Pipeline) -> None:
    pipe.answers(BROKEN)
    error = await pipe.refused(**POST)
    assert (error.code, error.outcome, error.attempts[0].error) == ("upstream-timeout", "unknown", "upstream-timeout")
    assert pipe.state.reported == [("failure", 0, "upstream-timeout")]


async def test_what_was_no_attempt_is_none(pipe: Pipeline) -> None:
    pipe.answers(DENIED)
    error = await pipe.refused()
    assert (error.code, error.attempts, pipe.state.reported, len(pipe.bulkhead)) == ("egress-denied", (), [], 0)


@pytest.mark.parametrize(("limit", "left", "allowed"), [(None, 60, 30), (2, 60, 2), (2, 1, 1), (None, 5, 5)])
async def test_an_attempt_gets_the_time_that_there_is(
    pipe: Pipeline, limit: float | None, left: float, allowed: float
) -> None:
    await pipe.send(limit=limit, left=left)
    assert pipe.transport.timeouts == [allowed]


async def test_nothing_is_asked_after_the_deadline(pipe: Pipeline) -> None:
    error = await pipe.refused(left=0)
    assert (error.code, pipe.transport.urls, pipe.state.asked) == ("deadline-exceeded", [], [])


@pytest.mark.case(47)
async def test_a_timeout_that_the_deadline_shortened_before_sending(pipe: Pipeline) -> None:
    pipe.answers(TransportTimeout("connect", "Late.", sent=False))
    error = await pipe.refused(left=1)
    assert (error.code, error.outcome, len(error.attempts)) == ("deadline-exceeded", "not_sent", 1)


@pytest.mark.case(47)
@pytest.mark.parametrize(("lasted", "left", "reported"), [(4, 4, "neutral"), (16, 16, "failure"), (6, 6, "failure")])
async def test_a_timeout_that_the_deadline_shortened_counts_where_it_says_enough(
    pipe: Pipeline, lasted: float, left: float, reported: str
) -> None:
    pipe.answers(TransportTimeout("receiving", "Late.", sent=True))
    pipe.transport.connecting = [0.0]
    pipe.transport.during = lambda: setattr(pipe.clock, "now", pipe.clock.now + lasted)
    error = await pipe.refused(left=left)
    assert (error.code, error.outcome, len(pipe.transport.urls)) == ("upstream-timeout", "unknown", 1)
    assert [outcome for outcome, _, _ in pipe.state.reported] == ([reported] if reported != "neutral" else [])


async def test_redirects_within_the_origin_are_followed(pipe: Pipeline) -> None:
    pipe.answers(status(302, location="/b"), status(302, location="c"), OK)
    sent = await pipe.send()
    assert (sent.response, len(sent.attempts)) == (OK, 1)
    assert pipe.transport.urls == [GET.url, "https://api.example.com/b", "https://api.example.com/c"]


async def test_a_redirect_to_another_origin_is_the_result(pipe: Pipeline) -> None:
    pipe.answers(status(302, location="https://evil.example/b"), OK)
    assert (await pipe.send()).response.status == 302
    assert len(pipe.transport.urls) == 1


@pytest.mark.case(44)
async def test_a_redirect_loop_ends(pipe: Pipeline) -> None:
    pipe.answers(status(302, location="/b"))
    sent = await pipe.send()
    assert (sent.response.status, len(pipe.transport.urls), pipe.state.later) == (302, 6, 1)
