"""What the scripts are told, what their answers mean, and what is said where Redis refuses."""

from __future__ import annotations

import msgspec
import pytest

from services.executor.resilience.scripts import (
    Timing,
    acquire_command,
    load_scripts,
    read_change,
    read_confirmation,
    read_decision,
    read_decisions,
    repaired_keys,
    report_command,
)
from services.executor.resilience.trouble import unavailable
from services.executor.resilience.types import COOLDOWN, Ask, Change, Confirmation, Decision, Limits, ScopeKey

SCRIPTS = load_scripts()
ASK = Ask(
    ScopeKey("res:{acme.crm}:acme.1"),
    Limits(60, 5, 30_000),
    max_wait_ms=1_500,
    lease_ms=35_000,
    outer=((ScopeKey("res:{acme.crm}:platform"), 600),),
)


@pytest.mark.parametrize("script", [SCRIPTS.acquire, SCRIPTS.confirm, SCRIPTS.report, SCRIPTS.merge])
def test_a_script_reads_the_time_once(script: object) -> None:
    assert getattr(script, "source").count("'TIME'") == 1  # noqa: B009


def test_another_clock_replaces_the_time() -> None:
    other = load_scripts("redis.call('LRANGE', 'clock', 0, 1)")

    assert "'TIME'" not in other.acquire.source
    assert other.acquire.sha != SCRIPTS.acquire.sha


def test_an_acquire_names_every_key_and_tells_microseconds() -> None:
    command = acquire_command(SCRIPTS, Timing(), ASK, 7, [msgspec.structs.replace(ASK, max_wait_ms=-1)])

    assert command.keys == ("res:{acme.crm}:acme.1:c", "res:{acme.crm}:acme.1:w", "res:{acme.crm}:platform:w")
    assert command.arguments == (5, 30_000_000, 35_000_000, 600_000, 7, 60_500_000, 60, 600, 1_500_000, 0)


def test_a_report_caps_the_cooldown_and_shortens_the_cause() -> None:
    command = report_command(SCRIPTS, Timing(), ASK, 9, "failure", told=0, cooldown_ms=10**9, cause="x" * 999)

    assert command.arguments[5:] == (9, "failure", 3_600_000_000, "x" * 64)


@pytest.mark.parametrize(
    ("reply", "decision"),
    [
        ([0, 1_001, 123, 45, 2], Decision(True, wait_ms=2, at=123, epoch=45, failures=2)),
        (
            [0, 0, 123, 45, 0, "status 503", 40],
            Decision(True, at=123, epoch=45, probe=True, cause="status 503", opened=40),
        ),
        (
            [1, 7_000, 9_999, "status 503", 40],
            Decision(False, refused="circuit-open", retry_after_ms=100, since_ms=10, cause="status 503", opened=40),
        ),
        ([2, 1_000, 2, ""], Decision(False, refused="rate-limited", retry_after_ms=1, limit="acme.1", rate=60)),
        (
            [2, 1_000, 3, ""],
            Decision(False, refused="rate-limited", retry_after_ms=1, limit="platform", rate=600),
        ),
        (
            [2, 1_000, 1, "status 429"],
            Decision(False, refused="rate-limited", retry_after_ms=1, limit=COOLDOWN, cause="status 429"),
        ),
    ],
)
def test_an_acquires_answer_is_a_decision(reply: list[object], decision: Decision) -> None:
    assert read_decision([1, "", reply], ASK) == decision
    assert read_decisions([2, "", reply, reply], ASK) == [decision, decision]


def test_a_confirms_and_a_reports_answer() -> None:
    assert read_confirmation([0, "", 5, 1]) == Confirmation("send", epoch=5, probe=True)
    assert read_confirmation([1, "", 1, 2_000, "x", 7]) == Confirmation(
        "circuit-open", retry_after_ms=100, since_ms=2, cause="x", opened=7
    )
    assert read_confirmation([2, ""]) == Confirmation("void")
    assert read_change([0, "", 5], "x") is None
    assert read_change([1, "", 5], "x") == Change("open", 5, "x")
    assert read_change([2, "", 6], "x") == Change("closed", 6)


def test_what_was_repaired_is_named() -> None:
    assert repaired_keys([0, ""]) == []
    assert repaired_keys([0, "res:{a.b}:c.d:c res:{a.b}:c.d:w "]) == ["res:{a.b}:c.d:c", "res:{a.b}:c.d:w"]


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ("READONLY You can't write against a read only replica.", "Point DIBOP_REDIS_URL at the primary"),
        ("@user_script: 12: -OOM command not allowed when used memory > 'maxmemory'.", "Raise its maxmemory"),
        ("this user has no permissions to run the 'evalsha' command", "+eval"),
        ("invalid username-password pair or user is disabled.", "Correct the ones in DIBOP_REDIS_URL"),
        ("Connection refused", "Redis did not do what was asked: Connection refused. See whether it runs."),
    ],
)
def test_trouble_is_explained(problem: str, words: str) -> None:
    assert words in str(unavailable(problem))
