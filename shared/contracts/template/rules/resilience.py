"""Rules about limits that do not go together. All of them are warnings: each limit by itself is in bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, get_args

from shared.contracts.backoff import RetryBackoff, retry_delay
from shared.contracts.execution import DEFAULT_DEADLINE_MS
from shared.contracts.template.model import Resilience
from shared.contracts.template.node import Node
from shared.contracts.template.problems import Problem

WINDOW_SECONDS: Final = 60.5
"""The longest wait for a permit while others wait for none."""

_MOST: Final = 100_000
_MOST_RETRIES: Final = 10
_DEADLINE: Final = DEFAULT_DEADLINE_MS / 1000


def one_call_could_open_the_circuit(document: Node) -> Iterator[Problem]:
    """A call whose every attempt fails counts `max_retries + 1` failures in a row."""
    for place, limits in _places(document, "max_retries", "circuit_breaker_threshold"):
        retries, threshold = limits.retries, limits.number("circuit_breaker_threshold")
        if threshold > 0 and retries >= threshold - 1:
            yield Problem(
                place.path,
                f"One call with {retries} retries could open the circuit, whose threshold is {threshold:g}, by itself.",
                f"Use at most {max(threshold - 2, 0):g} retries, or a threshold of at least {retries + 2:g}.",
            )


def retries_come_before_the_deadline(document: Node) -> Iterator[Problem]:
    """Where every attempt times out, the last repeat must start before the deadline of a call that names none."""
    named = ("timeout_seconds", "max_retries", "retry_delay_seconds", "retry_backoff")
    for place, limits in _places(document, *named):
        retries = limits.retries
        before = limits.number("timeout_seconds") * retries + sum(map(limits.delay, range(1, retries + 1)))
        if before >= _DEADLINE:
            yield Problem(
                place.path,
                f"When every attempt times out, the last of {retries} retries would start after {before:g} s, and a "
                f"call without a deadline of its own ends after {_DEADLINE:g} s.",
                "Use fewer retries, a shorter timeout_seconds, or a shorter delay.",
            )


def permits_come_before_the_deadline(document: Node) -> Iterator[Problem]:
    """A call must not be refused for want of a permit while callers keep to the limit on the average."""
    named = ("timeout_seconds", "max_retries", "retry_delay_seconds", "retry_backoff", "rate_limit_per_minute")
    for place, limits in _places(document, *named):
        rate, retries = limits.number("rate_limit_per_minute"), limits.retries
        if not rate:
            continue
        waiting = max(60 / rate, retries // rate * WINDOW_SECONDS)
        schedule = limits.number("timeout_seconds") * (retries + 1) + sum(map(limits.delay, range(1, retries + 1)))
        deadline = min(schedule, _DEADLINE)
        if waiting > deadline:
            yield Problem(
                place.path,
                f"With {rate:g} calls a minute a call may wait {waiting:g} s for its permits, and without a deadline "
                f"of its own it ends after {deadline:g} s.",
                "Raise rate_limit_per_minute, use fewer retries, or have callers send a longer deadline.",
            )


class _Limits:
    """What holds at one place: its own numbers, then those it inherits, then the defaults."""

    def __init__(self, *nodes: Node) -> None:
        self._nodes = nodes

    def number(self, name: str) -> float:
        """A number in bounds: one that is out of them is told as an error, and says nothing here."""
        found = (node.number(name) for node in self._nodes)
        return next((value for value in found if value is not None and 0 <= value <= _MOST), float(_default(name)))

    @property
    def retries(self) -> int:
        return min(int(self.number("max_retries")), _MOST_RETRIES)

    def delay(self, repeat: int) -> float:
        texts = (node.text("retry_backoff") for node in self._nodes)
        backoff = next((known for text in texts for known in get_args(RetryBackoff) if known == text), None)
        return retry_delay(self.number("retry_delay_seconds"), backoff or _default("retry_backoff"), repeat)


def _places(document: Node, *names: str) -> Iterator[tuple[Node, _Limits]]:
    """The template's limits, and those of each operation that overrides one of `names`."""
    template = document.child("resilience")
    yield template, _Limits(template)
    for operation in document.items("operations"):
        own = operation.child("resilience")
        if any(own.has(name) for name in names):
            yield own, _Limits(own, template)


def _default(name: str) -> Any:
    return Resilience.model_fields[name].default
