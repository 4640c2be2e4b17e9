"""The scripts against their reference model: random histories of several workers, compared answer by answer.

The time is a key that the history moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from services.executor.resilience import scripts
from services.executor.resilience.model import Model
from services.executor.resilience.scripts import Command, Reply, Script, Timing
from services.executor.resilience.types import Ask, Decision, Limits, Outcome, ScopeKey
from tests.support.shared_state import new_connector

STEPS: Final = 20
WINDOW_MS: Final = 3_000
BEGIN: Final = 1_700_000_000_000_000
WORKERS: Final = 3

_SCRIPTS: Final = scripts.load_scripts("redis.call('LRANGE', 'clock', 0, 1)")
_TIMING: Final = Timing(window_ms=WINDOW_MS)
_OUTCOMES: Final[tuple[Outcome, ...]] = ("success", "failure", "failure", "neutral")
_LIMITS: Final = (Limits(2, 2, 1_000), Limits(3, 1, 5_000), Limits(1, 3, 1_000), Limits(5, 0, 1_000), Limits(0, 2, 700))
_OUTER: Final = ((), (2,), (3, 4), (0, 1))
_some = st.integers(0, 11)
_scopes = st.sampled_from([0, 0, 0, 1, 2])
_recent = st.sampled_from([0, 0, 0, 1, 1, 2, 3, 5, 8])
_waits = st.sampled_from([0, 900, 3_000, 90_000, 90_000])


class Redis:
    """Runs commands as a worker does, one at a time."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def set_clock(self, now: int) -> None:
        with self._client.pipeline() as pipeline:
            pipeline.delete("clock")
            pipeline.rpush("clock", *divmod(now, 1_000_000))
            pipeline.execute()

    def run(self, command: Command) -> Reply:
        script: Script = command.script
        arguments: Any = (len(command.keys), *command.keys, *command.arguments)
        try:
            answer = self._client.evalsha(script.sha, *arguments)
        except redis.exceptions.NoScriptError:
            answer = self._client.eval(script.source, *arguments)
        assert isinstance(answer, bytes)
        reply = scripts.unpack(answer)
        assert scripts.repaired_keys(reply) == []
        return reply


class Histories(RuleBasedStateMachine):
    """Two connections and an operation of one connector, under stacked limits, used by three workers."""

    redis: Redis

    def __init__(self) -> None:
        super().__init__()
        tag = f"res:{{{new_connector()}}}"
        self.scopes = [ScopeKey(f"{tag}:{name}") for name in ("one.1", "one.2", "one.1:op:get")]
        self.further = [ScopeKey(f"{tag}:{name}") for name in ("enterprise", "platform")]
        self.model = Model(WINDOW_MS, BEGIN)
        self.granted: list[tuple[Ask, Decision]] = []
        self.untold: list[dict[ScopeKey, tuple[Ask, int]]] = [{} for _ in range(WORKERS)]
        self.epochs: dict[ScopeKey, int] = {}
        self.limits = _LIMITS[0]
        self.outer: tuple[int, ...] = ()
        self.redis.set_clock(BEGIN)

    @rule(
        microseconds=st.sampled_from([1, 999, 20_000, 500_000, 1_000_000, 2_999_999, 3_000_000, 5_000_000, 70_000_000])
    )
    def time_passes(self, microseconds: int) -> None:
        self.model.now += microseconds
        self.redis.set_clock(self.model.now)

    @initialize(limits=st.sampled_from(_LIMITS), outer=st.sampled_from(_OUTER))
    def begin(self, limits: Limits, outer: tuple[int, ...]) -> None:
        self.limits, self.outer = limits, outer

    @rule(limits=st.sampled_from(_LIMITS), outer=st.sampled_from(_OUTER))
    def other_limits(self, limits: Limits, outer: tuple[int, ...]) -> None:
        self.limits, self.outer = limits, outer

    @rule(worker=_some, scope=_scopes, wait=_waits, shared=st.booleans(), beside=st.lists(_waits, max_size=4))
    def acquire(self, worker: int, scope: int, wait: int, shared: bool, beside: list[int]) -> None:
        self._acquire(worker, scope, wait, shared=shared, beside=beside)

    def _acquire(self, worker: int, scope: int, wait: int, *, shared: bool, beside: Sequence[int] = ()) -> Decision:
        limits = self.limits
        stacked = tuple(zip(self.further, self.outer, strict=False))
        if scope == 2 and shared:  # an operation with a circuit of its own, and the connection's rate
            stacked = ((self.scopes[0], limits.rate), *stacked)
            limits = Limits(0, limits.threshold, limits.recovery_ms)
        ask = Ask(self.scopes[scope], limits, max_wait_ms=wait, lease_ms=6_000, outer=stacked)
        _, told = self.untold[worker % WORKERS].pop(ask.scope, (ask, 0))
        others = [msgspec.structs.replace(ask, max_wait_ms=other) for other in beside]
        reply = self.redis.run(scripts.acquire_command(_SCRIPTS, _TIMING, ask, told, others))
        decisions = scripts.read_decisions(reply, ask)
        assert decisions == [self.model.acquire(one, told) for one in (ask, *others)]
        for decision in decisions:
            if decision.granted:
                self.granted.append((ask, decision))
                assert decision.epoch == 0 or decision.epoch >= self.epochs.get(ask.scope, 0)
                self.epochs[ask.scope] = max(decision.epoch, self.epochs.get(ask.scope, 0))
        return decisions[-1]

    @rule(worker=_some, scope=_scopes, wait=_waits, outcome=st.sampled_from(_OUTCOMES), times=st.integers(1, 3))
    def attempts(self, worker: int, scope: int, wait: int, outcome: Outcome, times: int) -> None:
        for _ in range(times):
            if self._acquire(worker, scope, wait, shared=False).granted:
                ask, decision = self.granted[-1]
                self._report(ask, decision.epoch, outcome)

    @precondition(lambda self: self.granted)
    @rule(which=_recent)
    def confirm(self, which: int) -> None:
        ask, decision = self.granted[-1 - which % len(self.granted)]
        reply = self.redis.run(scripts.confirm_command(_SCRIPTS, _TIMING, ask, decision))
        assert scripts.read_confirmation(reply) == self.model.confirm(ask, decision)

    @precondition(lambda self: self.granted)
    @rule(
        worker=_some,
        which=_recent,
        outcome=st.sampled_from(_OUTCOMES),
        cooldown=st.sampled_from([0, 0, 0, 700, 65_000, 9_000_000]),
    )
    def report(self, worker: int, which: int, outcome: Outcome, cooldown: int) -> None:
        ask, decision = self.granted[-1 - which % len(self.granted)]
        _, told = self.untold[worker % WORKERS].pop(ask.scope, (ask, 0))
        self._report(ask, decision.epoch, outcome, told, cooldown)

    @precondition(lambda self: self.granted)
    @rule(worker=_some, which=_recent)
    def report_later(self, worker: int, which: int) -> None:
        ask, decision = self.granted[-1 - which % len(self.granted)]
        if ask.limits.threshold and not decision.probe:
            untold = self.untold[worker % WORKERS]
            earlier = untold.get(ask.scope)
            if earlier is not None and earlier[1] != decision.epoch:
                self._report(*earlier, "success")
            untold[ask.scope] = ask, decision.epoch

    @rule(worker=_some)
    def flush(self, worker: int) -> None:
        untold, self.untold[worker % WORKERS] = self.untold[worker % WORKERS], {}
        for ask, epoch in untold.values():
            self._report(ask, epoch, "success")

    @rule(scope=_scopes)
    def reset(self, scope: int) -> None:
        key = self.scopes[scope]
        reply = self.redis.run(scripts.reset_command(_SCRIPTS, _TIMING, key))
        assert scripts.read_change(reply, "") == self.model.reset(key)

    @rule(hold=st.sampled_from([0, 0, 60_500, 90_000]))
    def lost(self, hold: int) -> None:
        reply = self.redis.run(scripts.lost_command(_SCRIPTS, self.further[0], hold))
        assert scripts.read_lost(reply) == self.model.lost(hold)

    def teardown(self) -> None:
        """Whatever happened, no window holds more than the highest limit that its list ever had."""
        for scope, most in (
            (self.scopes[0], 5),
            (self.scopes[1], 5),
            (self.scopes[2], 5),
            (self.further[0], 3),
            (self.further[1], 4),
        ):
            times = sorted(self.model.permits.get(scope, []))
            assert all(later - time >= WINDOW_MS * 1_000 for time, later in zip(times, times[most:], strict=False))

    def _report(self, ask: Ask, epoch: int, outcome: Outcome, told: int = 0, cooldown: int = 0) -> None:
        command = scripts.report_command(
            *(_SCRIPTS, _TIMING, ask, epoch, outcome), told=told, cooldown_ms=cooldown, cause="status 503"
        )
        change = scripts.read_change(self.redis.run(command), "status 503")
        assert change == self.model.report(ask, epoch, outcome, told=told, cooldown_ms=cooldown, cause="status 503")
        if change is not None:
            assert change.epoch > self.epochs.get(ask.scope, 0)
            self.epochs[ask.scope] = change.epoch


def check_histories(redis_url: str, *, count: int) -> None:
    """Compare scripts and model over `count` random histories; AssertionError with the shortest that differs."""
    with redis.Redis.from_url(redis_url) as client:
        run_state_machine_as_test(  # type: ignore[no-untyped-call]  # hypothesis has no types for it
            type("BoundHistories", (Histories,), {"redis": Redis(client)}),
            settings=settings(
                max_examples=count,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
