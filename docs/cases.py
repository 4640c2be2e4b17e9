"""The numbered cases of resilience: what each one says, and which tests hold it, read from their marks."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).resolve().parents[1] / "tests"

BEHAVIOURS: Final[Mapping[int, str]] = {
    1: "Of N+1 requests in an empty window, N go at once and the last waits for the rest of the window",
    2: "Eight processes over a full minute: no window holds more than N, by the external system's own log",
    3: "A burst after idle time has no credit beyond N",
    4: "Those who wait are served first come, first served",
    5: "A wait beyond the deadline is refused at once, with the wait, and spends no permit",
    6: "Retries take permits",
    7: "A probe takes a permit",
    8: "Rate 0 is unlimited, and keeps no list",
    9: "A lowered limit holds within one window",
    10: "A raised limit holds for new attempts at once; reserved times stay",
    11: "An unused scope leaves no keys behind",
    12: "Of stacked limits the tightest wins; a refusal by one spends nothing in the others",
    13: "One failure short of the threshold, then a success: closed, and counting from 0",
    14: "The circuit opens on exactly the failure that reaches the threshold",
    15: "Failures of several workers add up",
    16: "While it is open nothing reaches the external system, and refusals are quick",
    17: "When recovery has passed, exactly one of eight processes probes",
    18: "A probe that succeeds closes the circuit, and the others go",
    19: "A probe that fails opens it for a full recovery again",
    20: "A probe whose worker is killed is replaced after its lease, not before",
    21: "A success from before the opening does not close",
    22: "A failure from before the closing does not open again",
    23: "A probe that proved nothing is freed",
    24: "Threshold 0 never opens",
    25: "Threshold 1 opens on the first failure",
    26: "404 never opens it",
    27: "429 never opens it",
    28: "A 404 among 500s begins the count anew",
    29: "It opens during a retry wait: the caller gets its own last response, others are refused",
    30: "A change of health is told exactly once",
    31: "The delays of none, linear and exponential, with their cap",
    32: "Jitter stays within its bounds, and is not constant",
    33: "max_retries 0 is one attempt",
    34: "A POST whose connection is reset after sending: one attempt, outcome unknown",
    35: "A POST whose connection was refused is retried",
    36: "A POST that is declared idempotent is retried",
    37: "An idempotency header has one value on all attempts, and another for each request",
    38: "Retry-After in seconds",
    39: "Retry-After as a date, by the external system's own clock",
    40: "Retry-After that is garbage or negative is ignored",
    41: "Retry-After of an hour: the caller gets the 429 with the time, others are refused with it",
    42: "A 429 that one worker sees pauses the others",
    43: "Retries that end in a 500: it is the result, with its attempts",
    44: "A redirect loop ends",
    45: "A dripping body is cut at the limit",
    46: "A server that accepts and never answers is cut",
    47: "A deadline shorter than the timeout counts as the table of outcomes says",
    48: "A worker that has to stop in the middle of an attempt tells the caller, and blames nobody",
    49: "A response over the cap is not read to its end, nor kept",
    50: "The cap counts decoded bytes: a gzip bomb ends there",
    51: "Redis killed in traffic: no request is lost, shares hold, answers stay quick",
    52: "Redis comes back: no burst",
    53: "Redis hangs: noticed within 100 ms",
    54: "on_state_loss open and closed",
    55: "All keys flushed in traffic",
    56: "The script cache flushed",
    57: "Failover to a replica that is behind",
    58: "A worker's clock that is wrong by an hour has no effect",
    59: "Random histories of several workers, against a plain model",
    60: "Those who wait when the circuit opens send nothing",
    61: "Those who wait when a 429 arrives send nothing before the cooldown ends",
    62: "One connection's waiter does not delay another's under the same outer limit",
    63: "A worker that stalls for 300 ms does not believe that Redis is away",
    64: "Cases 1, 3, 12, 17 and 56 on a Redis Cluster of three nodes",
}


def marked_tests(folder: Path = TESTS) -> dict[int, list[str]]:
    """Case number to the tests that carry it, as `path/below/tests.py::name`. Files are parsed, not imported."""
    found: dict[int, list[str]] = defaultdict(list)
    for file in sorted(folder.rglob("test_*.py")):
        for name, numbers in _marked(ast.parse(file.read_text())):
            for number in numbers:
                found[number].append(f"{file.relative_to(folder).as_posix()}::{name}")
    return dict(found)


def without_test(found: Mapping[int, list[str]]) -> list[int]:
    """The cases that no test carries."""
    return [number for number in BEHAVIOURS if not found.get(number)]


def _marked(tree: ast.AST) -> Iterator[tuple[str, list[int]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            numbers = [number for decorator in node.decorator_list for number in _numbers(decorator)]
            if numbers:
                yield node.name, numbers


def _numbers(decorator: ast.expr) -> list[int]:
    """The numbers of `@pytest.mark.case(…)`; none of any other decorator."""
    if not (isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.case"):
        return []
    return [each.value for each in decorator.args if isinstance(each, ast.Constant) and isinstance(each.value, int)]
