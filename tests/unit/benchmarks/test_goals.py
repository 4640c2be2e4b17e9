"""Goals: judged on the medians of one run, with a word where the rounds disagree or the figures are bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import goals
from benchmarks.comparison import Comparison, Sample, share
from benchmarks.results import Goal
from benchmarks.stats import Figure

KEYS = (goals.EXECUTOR_64, goals.EXECUTOR_1, goals.AIOHTTP_64, goals.AIOHTTP_1, goals.DIY_AIOHTTP_64)
SAMPLE = Sample(rate=1000.0, p50=0.001, p99=0.0015, cpu=100e-6, busy=1.0, memory=2**20, servers_cpu={"NATS": 8e-6})


def comparison(**changes: Sample) -> Comparison:
    """Every variant alike, but for the keys given (`executor_64` for `executor@64`)."""
    samples = dict.fromkeys((*KEYS, *goals.HTTPX_TUNINGS), SAMPLE)
    samples |= {"@".join(name.replace("_", "-").rsplit("-", 1)): sample for name, sample in changes.items()}
    return Comparison({key: [sample] * 3 for key, sample in samples.items()})


def by_text(found: list[Goal], words: str) -> Goal:
    (goal,) = [goal for goal in found if words in goal.text]
    return goal


@pytest.mark.parametrize(("rate", "verdict"), [(800.0, "pass"), (799.0, "MISS")])
def test_goal_1_asks_for_four_fifths_of_bare_aiohttp(rate: float, verdict: str) -> None:
    found = goals.execution_goals(comparison(executor_64=replace(SAMPLE, rate=rate)))
    goal = by_text(found, "throughput, 64 in flight, over bare aiohttp")
    assert (goal.number, goal.verdict) == ("1", verdict)


def test_goal_2_compares_with_the_tuning_of_httpx_that_was_the_fastest() -> None:
    found = goals.execution_goals(
        comparison(executor_64=replace(SAMPLE, rate=6500.0), httpx_8=replace(SAMPLE, rate=1100.0))
    )
    goal = by_text(found, "httpx@8")
    assert goal.figure.median == pytest.approx(6500 / 1100)
    assert goal.verdict == "MISS"
    assert by_text(found, "do-it-yourself").verdict == "pass"


@pytest.mark.parametrize(("cpu", "verdict"), [(125e-6, "pass"), (126e-6, "MISS")])
def test_goal_3_asks_for_at_most_a_quarter_more_cpu(cpu: float, verdict: str) -> None:
    found = goals.execution_goals(comparison(executor_64=replace(SAMPLE, cpu=cpu)))
    assert by_text(found, "CPU of the worker").verdict == verdict


@pytest.mark.parametrize(
    ("p50", "httpx", "added"), [(0.0009, "pass", "pass"), (0.0013, "MISS", "pass"), (0.0014, "MISS", "MISS")]
)
def test_goal_4_bounds_what_one_at_a_time_adds(p50: float, httpx: str, added: str) -> None:
    found = goals.execution_goals(comparison(executor_1=replace(SAMPLE, p50=p50)))
    assert by_text(found, "direct httpx").verdict == httpx
    goal = by_text(found, "added to bare aiohttp")
    assert (goal.verdict, goal.unit) == (added, "ms")


def test_goal_5_is_about_the_tail() -> None:
    found = goals.execution_goals(comparison(executor_64=replace(SAMPLE, p99=0.0021)))
    assert by_text(found, "p99 / p50").verdict == "MISS"


@pytest.mark.parametrize(("redis", "cpu", "verdict"), [(3e-6, 130e-6, "pass"), (3.1e-6, 131e-6, "MISS")])
def test_goals_6_and_8_are_about_cpu_time(redis: float, cpu: float, verdict: str) -> None:
    samples = {
        "permits-dibop-1@64": replace(SAMPLE, servers_cpu={"Redis": redis}),
        "permits-zset-1@64": replace(SAMPLE, servers_cpu={"Redis": 10e-6}),
        "executor@64": SAMPLE,
        "4-executors@64": replace(SAMPLE, cpu=cpu),
    }
    found = goals.resilience_goals(Comparison({key: [sample] * 3 for key, sample in samples.items()}))
    assert [(goal.number, goal.verdict) for goal in found] == [("6", verdict), ("8", verdict)]


def test_goal_7_is_in_kilobytes_and_milliseconds() -> None:
    memory, collection = goals.footprint_goals([4096.0, 4096.0], [0.021, 0.021])
    assert (memory.figure.median, memory.verdict) == (4.0, "pass")
    assert (collection.figure.median, collection.verdict) == (21.0, "MISS")


def test_goal_10_is_the_share_that_the_check_costs() -> None:
    goal = goals.schema_goal([700.0, 700.0], [1000.0, 1000.0])
    assert goal.figure.median == pytest.approx(0.3)
    assert goal.verdict == "MISS"


@pytest.mark.parametrize(("figure", "doubtful"), [(Figure(0.9, 0.85, 1.0), False), (Figure(0.82, 0.75, 0.9), True)])
def test_a_goal_is_doubtful_where_the_rounds_lie_on_both_sides(figure: Figure, doubtful: bool) -> None:
    assert Goal("1", "text", figure, 0.8, at_least=True).doubtful is doubtful


def test_a_worker_that_was_not_busy_makes_its_rate_a_bound() -> None:
    idle = comparison(executor_64=replace(SAMPLE, busy=0.6))
    (remark,) = goals.remarks(idle, KEYS, pinned=True, load=0.0)
    assert "executor@64 used 60% of its core" in remark


def test_noise_is_named() -> None:
    samples = [replace(SAMPLE, rate=rate) for rate in (800.0, 1000.0, 1200.0)]
    (remark,) = goals.remarks(Comparison({"aiohttp@1": samples}), ["aiohttp@1"], pinned=True, load=0.0)
    assert "Noise" in remark
    assert "aiohttp@1" in remark


def test_a_busy_machine_is_named() -> None:
    (remark,) = goals.remarks(comparison(), KEYS, pinned=True, load=3.0)
    assert "load average 3.0" in remark


@pytest.mark.parametrize(("total", "parts", "expected"), [(64, 2, [32, 32]), (1, 2, [1, 0]), (5, 3, [2, 2, 1])])
def test_requests_in_flight_are_shared_over_the_callers(total: int, parts: int, expected: list[int]) -> None:
    assert share(total, parts) == expected


def test_metrics_are_in_the_units_of_their_names() -> None:
    metrics = SAMPLE.metrics()
    assert (metrics["p50 ms"], metrics["CPU µs/op"], metrics["memory MiB"]) == (1.0, 100.0, 1.0)
    assert metrics["NATS µs/op"] == pytest.approx(8.0)


@pytest.mark.parametrize(("rate", "cpu", "verdicts"), [(760.0, 120e-6, {"pass"}), (740.0, 130e-6, {"MISS"})])
def test_the_call_log_may_cost_a_quarter_at_most(rate: float, cpu: float, verdicts: set[str]) -> None:
    logged = replace(SAMPLE, rate=rate, cpu=cpu)
    found = goals.call_log_goals(Comparison({"a@64": [logged] * 3, "b@64": [SAMPLE] * 3}), "a@64", "b@64")
    assert {goal.verdict for goal in found} == verdicts
