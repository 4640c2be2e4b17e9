"""A worker by itself keeps a circuit of its own, and respects the one that it has heard of."""

from __future__ import annotations

import pytest

from services.executor.resilience.types import Ask, Change, Decision, Limits
from tests.unit.executor.resilience.test_local_limits import SCOPE, Worker

ASK = Ask(SCOPE, Limits(0, 3, 10_000), 0, 5_000)
SENT = Decision(granted=True, local=True)


@pytest.fixture
def worker() -> Worker:
    return Worker().settled()


def fail(worker: Worker, times: int, decision: Decision = SENT) -> None:
    for _ in range(times):
        worker.state.reported(ASK, decision, "failure", cause="status 503", alone=True)


def test_failures_in_a_row_open_it_and_a_success_between_them_does_not(worker: Worker) -> None:
    fail(worker, 2)
    worker.state.reported(ASK, SENT, "success", alone=True)
    fail(worker, 2)
    assert worker.state.acquire(ASK).granted
    fail(worker, 1)
    refused = worker.state.acquire(ASK)
    assert (refused.refused, refused.retry_after_ms, refused.cause) == ("circuit-open", 10_000, "status 503")


def test_failures_that_the_shared_state_has_counted_go_on_counting(worker: Worker) -> None:
    worker.state.heard(ASK, Decision(granted=True, failures=2))
    fail(worker, 1)
    assert worker.state.acquire(ASK).refused == "circuit-open"


def test_one_that_the_worker_has_opened_itself_is_probed_once_after_its_recovery(worker: Worker) -> None:
    fail(worker, 3)
    worker.now += 10
    probe = worker.state.acquire(ASK)
    assert (probe.granted, probe.probe) == (True, True)
    assert worker.state.acquire(ASK).refused == "circuit-open"
    worker.state.reported(ASK, probe, "failure", alone=True)
    assert worker.state.acquire(ASK).retry_after_ms == 10_000
    worker.now += 10
    worker.state.reported(ASK, worker.state.acquire(ASK), "success", alone=True)
    assert worker.state.acquire(ASK) == Decision(granted=True, at=round(worker.now * 1e6), local=True)


def test_a_probe_that_never_reports_loses_its_lease(worker: Worker) -> None:
    fail(worker, 3)
    worker.now += 10
    assert worker.state.acquire(ASK).probe
    worker.now += 4.9
    assert worker.state.acquire(ASK).refused == "circuit-open"
    worker.now += 0.1
    assert worker.state.acquire(ASK).probe


def test_a_neutral_probe_frees_it(worker: Worker) -> None:
    fail(worker, 3)
    worker.now += 10
    worker.state.reported(ASK, worker.state.acquire(ASK), "neutral", alone=True)
    assert worker.state.acquire(ASK).probe


@pytest.mark.case(51)
@pytest.mark.parametrize("how", ["refused", "opened"])
def test_one_that_the_shared_state_has_opened_is_never_probed_alone(worker: Worker, how: str) -> None:
    if how == "refused":
        worker.state.heard(ASK, Decision(False, refused="circuit-open", retry_after_ms=4000, cause="status 500"))
    else:
        worker.state.changed(ASK, Change("open", 1, "status 500"))
    worker.now += 3600
    refused = worker.state.acquire(ASK)
    assert (refused.refused, refused.retry_after_ms, refused.cause) == ("circuit-open", 1000, "status 500")
    worker.state.heard(ASK, Decision(granted=True))
    assert worker.state.acquire(ASK).granted


def test_the_probe_that_the_shared_state_has_granted_closes_it_for_its_worker(worker: Worker) -> None:
    worker.state.changed(ASK, Change("open", 1, "status 500"))
    probe = Decision(granted=True, probe=True)
    worker.state.heard(ASK, probe)
    assert worker.state.acquire(ASK).refused == "circuit-open"
    worker.state.reported(ASK, probe, "success", alone=True)
    assert worker.state.acquire(ASK).granted


def test_attempts_from_before_it_opened_neither_close_it_nor_keep_it_open_longer(worker: Worker) -> None:
    fail(worker, 3)
    worker.now += 5
    worker.state.reported(ASK, SENT, "success", alone=True)
    fail(worker, 1)
    assert worker.state.acquire(ASK).retry_after_ms == 5_000


def test_a_waiter_sends_nothing_where_it_has_opened_meanwhile(worker: Worker) -> None:
    decision = worker.state.acquire(ASK)
    fail(worker, 3)
    confirmation = worker.state.confirm(ASK, decision)
    assert (confirmation.verdict, confirmation.cause) == ("circuit-open", "status 503")


def test_failures_that_the_shared_state_hears_of_do_not_open_it_here(worker: Worker) -> None:
    for _ in range(9):
        worker.state.reported(ASK, SENT, "failure", alone=False)
    assert worker.state.acquire(ASK).granted


def test_threshold_0_never_opens(worker: Worker) -> None:
    ask = Ask(SCOPE, Limits(0, 0, 10_000), 0, 5_000)
    for _ in range(9):
        worker.state.reported(ask, SENT, "failure", alone=True)
    assert worker.state.acquire(ask).granted
