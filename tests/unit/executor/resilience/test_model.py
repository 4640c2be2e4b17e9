"""The reference model, against sequences worked out by hand."""

from __future__ import annotations

from services.executor.resilience.model import Model
from services.executor.resilience.types import COOLDOWN, Ask, Decision, Limits, Outcome, ScopeKey

WINDOW_MS = 60_500
ONE, OTHER, PLATFORM = (ScopeKey(f"res:{{acme.crm}}:{name}") for name in ("acme.1", "acme.2", "platform"))


def model() -> Model:
    return Model(WINDOW_MS, now=1_000_000_000)


def ask(scope: ScopeKey = ONE, *, rate: int = 0, threshold: int = 0, wait: int = 600_000, outer: int = 0) -> Ask:
    further = ((PLATFORM, outer),) if outer else ()
    return Ask(scope, Limits(rate, threshold, 30_000), max_wait_ms=wait, lease_ms=35_000, outer=further)


def waits(state: Model, asked: Ask, times: int) -> list[int]:
    return [state.acquire(asked).wait_ms for _ in range(times)]


def fail(state: Model, asked: Ask, times: int, outcome: Outcome = "failure") -> list[str | None]:
    changes: list[str | None] = []
    for _ in range(times):
        decision = state.acquire(asked)
        assert decision.granted
        change = state.report(asked, decision.epoch, outcome, cause="status 500")
        changes.append(change.circuit if change is not None else None)
    return changes


def test_a_limit_of_two_grants_two_in_each_window() -> None:
    assert waits(model(), ask(rate=2), 5) == [0, 0, WINDOW_MS, WINDOW_MS, 2 * WINDOW_MS]


def test_a_window_slides_from_each_permit() -> None:
    state = model()
    state.acquire(ask(rate=2))
    state.now += 20_000_000
    state.acquire(ask(rate=2))

    assert waits(state, ask(rate=2), 2) == [WINDOW_MS - 20_000, WINDOW_MS]


def test_a_refusal_reserves_nothing() -> None:
    state = model()
    state.acquire(ask(rate=1))

    refused = state.acquire(ask(rate=1, wait=1_000))

    assert refused == Decision(False, refused="rate-limited", retry_after_ms=WINDOW_MS, limit="acme.1", rate=1)
    assert len(state.permits[ONE]) == 1


def test_a_limit_further_out_lets_another_scope_into_a_gap() -> None:
    state = model()

    assert waits(state, ask(rate=1, outer=3), 3) == [0, WINDOW_MS, 2 * WINDOW_MS]
    assert waits(state, ask(OTHER, outer=3), 3) == [0, 0, WINDOW_MS]


def test_a_gap_must_fit_the_windows_on_both_of_its_sides() -> None:
    state = model()
    state.permits[PLATFORM] = [state.now + 30_000_000, state.now + 40_000_000]

    assert waits(state, ask(outer=2), 1) == [30_000 + WINDOW_MS]


def test_a_circuit_opens_lets_one_probe_and_closes() -> None:
    state, asked = model(), ask(threshold=2)
    assert fail(state, asked, 2) == [None, "open"]
    assert state.acquire(asked).retry_after_ms == 30_000
    state.now += 30_000_000

    probe, other = state.acquire(asked), state.acquire(asked)

    assert probe.probe
    assert (other.refused, other.retry_after_ms, other.since_ms) == ("circuit-open", 35_000, 30_000)
    assert state.report(asked, probe.epoch - 1, "success") is None
    change = state.report(asked, probe.epoch, "success")
    assert change is not None
    assert change.circuit == "closed"
    assert fail(state, asked, 2) == [None, "open"]


def test_a_success_between_failures_begins_the_count_anew() -> None:
    state, asked = model(), ask(threshold=2)

    assert fail(state, asked, 1) + fail(state, asked, 1, "success") + fail(state, asked, 2) == [
        None,
        None,
        None,
        "open",
    ]


def test_a_cooldown_of_more_than_a_minute_is_not_waited_for() -> None:
    state, asked = model(), ask(rate=9)
    state.report(asked, 0, "neutral", cooldown_ms=61_000, cause="status 429")

    refused = state.acquire(asked)

    assert (refused.limit, refused.retry_after_ms, refused.cause) == (COOLDOWN, 61_000, "status 429")
    state.now += 1_000_000
    assert state.acquire(asked).wait_ms == 60_000
