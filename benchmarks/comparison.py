"""Comparisons: every variant once per round, rounds back and forth, every reply checked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmarks.orders import Order, Outcome
from benchmarks.processes import Measured, RunError, Runner, settle
from benchmarks.stats import Figure, figure, percentile

Progress = Callable[[str], None]
_MAX_REPORTED: Final = 300


@dataclass(frozen=True, slots=True)
class Variant:
    """One line of a comparison.

    `runners` share the requests in flight; `worker` is the process whose cost counts, and `servers` are those
    whose cost is reported beside it.
    """

    name: str
    concurrency: int
    operation: str
    runners: Sequence[Runner]
    worker: Measured
    servers: dict[str, Measured] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.name}@{self.concurrency}"


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of a variant. Times are seconds; CPU is seconds for one operation; memory is bytes."""

    rate: float
    p50: float
    p99: float
    cpu: float
    busy: float
    memory: int
    servers_cpu: dict[str, float]

    def metrics(self) -> dict[str, float]:
        """As they are reported: req/s, ms, µs, MiB, and the share of a core that the worker used."""
        return {
            "req/s": self.rate,
            "p50 ms": self.p50 * 1e3,
            "p99 ms": self.p99 * 1e3,
            "p99/p50": self.p99 / self.p50,
            "CPU µs/op": self.cpu * 1e6,
            "worker busy": self.busy,
            "memory MiB": self.memory / 1024**2,
            **{f"{name} µs/op": cpu * 1e6 for name, cpu in self.servers_cpu.items()},
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often: seconds of each run, of the warm-up before it, and the number of rounds."""

    rounds: int
    seconds: float
    warm_up: float

    def duration(self, variants: int) -> float:
        return variants * self.rounds * (self.seconds + self.warm_up + 0.3)


class Comparison:
    """Samples of variants that ran side by side: the n-th sample of each comes from the same round."""

    def __init__(self, samples: dict[str, list[Sample]]) -> None:
        self._samples = samples

    def metric(self, key: str, metric: str) -> list[float]:
        return [sample.metrics()[metric] for sample in self._samples[key]]

    def figures(self, key: str) -> dict[str, Figure]:
        metrics = [sample.metrics() for sample in self._samples[key]]
        return {name: figure([m[name] for m in metrics]) for name in metrics[0]}

    def best(self, keys: Sequence[str]) -> str:
        """The key with the highest median rate."""
        return max(keys, key=lambda key: figure(self.metric(key, "req/s")).median)


def compare(variants: Sequence[Variant], plan: Plan, progress: Progress) -> Comparison:
    """Run the rounds. Every second one goes backwards, so that no variant always follows the same other."""
    samples: dict[str, list[Sample]] = {variant.key: [] for variant in variants}
    for number in range(plan.rounds):
        for variant in variants if number % 2 == 0 else reversed(variants):
            sample = _measure(variant, plan)
            samples[variant.key].append(sample)
            progress(f"round {number + 1}/{plan.rounds}  {variant.key:<28} {sample.rate:>9,.0f} req/s")
    return Comparison(samples)


def _measure(variant: Variant, plan: Plan) -> Sample:
    everything = [*variant.runners, variant.worker, *variant.servers.values()]
    settle(everything)
    _run(variant, plan.warm_up)
    cpu = variant.worker.cpu_seconds()
    servers = {name: server.cpu_seconds() for name, server in variant.servers.items()}
    outcomes = _run(variant, plan.seconds)
    cpu = variant.worker.cpu_seconds() - cpu
    latencies = [latency for outcome in outcomes for latency in outcome.latencies]
    seconds = max(outcome.seconds for outcome in outcomes)
    return Sample(
        rate=len(latencies) / seconds,
        p50=percentile(latencies, 0.50),
        p99=percentile(latencies, 0.99),
        cpu=cpu / len(latencies),
        busy=cpu / seconds,
        memory=variant.worker.memory_bytes(),
        servers_cpu={
            name: (server.cpu_seconds() - servers[name]) / len(latencies) for name, server in variant.servers.items()
        },
    )


def _run(variant: Variant, seconds: float) -> list[Outcome]:
    shares = share(variant.concurrency, len(variant.runners))
    orders = [Order(part, seconds, variant.operation) for part in shares if part]
    pairs = list(zip(variant.runners, orders, strict=False))
    for runner, order in pairs:
        runner.begin(order)
    outcomes = [runner.outcome(order) for runner, order in pairs]
    wrong = sum(outcome.errors for outcome in outcomes)
    if wrong or not any(outcome.latencies for outcome in outcomes):
        first = next((outcome.first_error for outcome in outcomes if outcome.first_error), "no reply at all")
        raise RunError(
            f"{variant.key}: {wrong} wrong replies, so there is no result. The first: {first[:_MAX_REPORTED]}"
        )
    return outcomes


def share(total: int, parts: int) -> list[int]:
    """`total` in `parts` nearly equal shares, the larger ones first."""
    return [total // parts + (1 if part < total % parts else 0) for part in range(parts)]


def say(text: str) -> None:
    """Progress goes to standard error: results alone go to standard output."""
    print(text, file=sys.stderr, flush=True)
