"""What is repeated, when, and in what a request ends."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.executor.attempts.pipeline import BROKEN, GET, OK, POST, REFUSED, Pipeline, status


@pytest.mark.case(33)
async def test_without_retries_there_is_one_attempt(pipe: Pipeline) -> None:
    pipe.answers(status(500), OK)
    sent = await pipe.send(resilience={"max_retries": 0})
    assert (sent.response.status, len(sent.attempts), sent.retry_stopped) == (500, 1, "exhausted")


@pytest.mark.case(43)
async def test_retries_end_in_the_last_response(pipe: Pipeline) -> None:
    pipe.answers(status(500), status(502), status(504))
    sent = await pipe.send(resilience={"max_retries": 2, "retry_delay_seconds": 3})
    assert [attempt.status_code for attempt in sent.attempts] == [500, 502, 504]
    assert (sent.response.status, sent.retry_stopped, pipe.clock.slept) == (504, "exhausted", [3, 3])
    assert [attempt.waited_ms for attempt in sent.attempts] == [0, 3000, 3000]


async def test_a_retry_that_succeeds_is_the_result(pipe: Pipeline) -> None:
    pipe.answers(status(500), REFUSED, OK)
    sent = await pipe.send()
    assert (sent.response, sent.retry_stopped, len(sent.attempts)) == (OK, None, 3)
    assert [outcome for outcome, _, _ in pipe.state.reported] == ["failure", "failure", "success"]


async def test_a_request_that_had_a_response_ends_in_it_whatever_comes_after(pipe: Pipeline) -> None:
    pipe.answers(status(500), REFUSED)
    sent = await pipe.send(resilience={"max_retries": 2})
    assert [attempt.error or attempt.status_code for attempt in sent.attempts] == [
        500,
        "upstream-unreachable",
        "upstream-unreachable",
    ]
    assert (sent.response.status, sent.retry_stopped) == (500, "exhausted")


@pytest.mark.case(34)
async def test_a_post_that_broke_after_sending_is_not_repeated(pipe: Pipeline) -> None:
    pipe.answers(BROKEN, OK)
    error = await pipe.refused(**POST)
    assert (error.code, error.outcome, len(error.attempts)) == ("upstream-timeout", "unknown", 1)


@pytest.mark.case(35)
async def test_a_post_of_which_nothing_was_sent_is_repeated(pipe: Pipeline) -> None:
    pipe.answers(REFUSED, OK)
    assert len((await pipe.send(**POST)).attempts) == 2


@pytest.mark.case(36, 37)
@pytest.mark.parametrize("operation", [{"idempotent": True}, {"idempotency_header": "X-Key"}])
async def test_a_post_that_is_idempotent_is_repeated_as_it_was(pipe: Pipeline, operation: dict[str, Any]) -> None:
    pipe.answers(BROKEN, status(500), OK)
    sent = await pipe.send(**POST, **operation)
    assert len(sent.attempts) == 3
    assert all(request is GET for request in pipe.transport.requests)


async def test_a_post_that_failed_says_no_reason_for_not_being_repeated(pipe: Pipeline) -> None:
    pipe.answers(status(500))
    sent = await pipe.send(**POST)
    assert (len(sent.attempts), sent.retry_stopped) == (1, None)


async def test_an_error_after_an_unknown_outcome_is_unknown_too(pipe: Pipeline) -> None:
    pipe.answers(BROKEN, REFUSED)
    error = await pipe.refused(resilience={"max_retries": 1})
    assert (error.code, error.outcome, len(error.attempts)) == ("upstream-unreachable", "unknown", 2)
    assert "An earlier attempt may have reached" in error.detail
    assert "No retry is left" in error.detail


async def test_a_repeat_that_comes_after_the_deadline_is_not_waited_for(pipe: Pipeline) -> None:
    pipe.answers(status(500), OK)
    sent = await pipe.send(left=10, resilience={"retry_delay_seconds": 10})
    assert (sent.response.status, sent.retry_stopped, pipe.clock.slept) == (500, "deadline", [])


@pytest.mark.case(38)
@pytest.mark.parametrize("code", [429, 503])
async def test_retry_after_replaces_a_shorter_delay_for_every_method(pipe: Pipeline, code: int) -> None:
    pipe.answers(status(code, "7"), OK)
    started = pipe.clock.now
    sent = await pipe.send(**POST)
    assert [attempt.status_code for attempt in sent.attempts] == [code, 200]
    assert pipe.transport.sent_at == [started, started + 7]
    assert pipe.state.reported[0] == ("neutral" if code == 429 else "failure", 7000, f"status {code}")


async def test_a_longer_delay_replaces_retry_after(pipe: Pipeline) -> None:
    pipe.answers(status(503, "2"), OK)
    started = pipe.clock.now
    await pipe.send(resilience={"retry_delay_seconds": 5})
    assert pipe.transport.sent_at == [started, started + 5]


async def test_a_429_without_retry_after_pauses_all_for_the_retry_delay(pipe: Pipeline) -> None:
    pipe.answers(status(429), OK)
    started = pipe.clock.now
    await pipe.send(resilience={"retry_delay_seconds": 5})
    assert pipe.state.reported[0] == ("neutral", 5000, "status 429")
    assert pipe.transport.sent_at == [started, started + 5]


@pytest.mark.case(41)
@pytest.mark.parametrize(("asked", "left"), [("3600", 3000), ("61", 3000), ("30", 20)])
async def test_a_cooldown_that_is_too_long_ends_the_request_and_refuses_others(
    pipe: Pipeline, asked: str, left: float
) -> None:
    pipe.answers(status(429, asked), OK)
    sent = await pipe.send(left=left)
    assert (sent.response.status, sent.retry_stopped) == (429, "rate-limited")
    assert (sent.retry_after_ms, pipe.clock.slept) == (int(asked) * 1000, [])
    refused = await pipe.refused(left=left)
    assert (refused.code, refused.outcome, refused.attempts) == ("rate-limited", "not_sent", ())
    assert refused.retry_after_ms == int(asked) * 1000
    assert "asked to be left alone" in refused.detail
