"""The seven settings of resilience as people see them: labels, units, help, and the defaults of the template model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, get_args

from shared.contracts.backoff import RetryBackoff
from shared.contracts.template.model import Resilience


@dataclass(frozen=True, slots=True)
class Setting:
    label: str
    help: str
    unit: str
    default: Any
    options: tuple[str, ...] = ()


def _setting(name: str, label: str, text: str, unit: str = "", options: tuple[str, ...] = ()) -> tuple[str, Setting]:
    default = Resilience.model_fields[name].default
    whole = int(default) if isinstance(default, float) and default.is_integer() else default
    return name, Setting(label, text, unit, whole, options)


SETTINGS: Final = (
    _setting("timeout_seconds", "Timeout", "Limit of one attempt, 0.1 to 300.", "seconds"),
    _setting("max_retries", "Repeats", "After the first attempt, 0 to 10. 0 repeats nothing.", "repeats"),
    _setting("retry_delay_seconds", "Delay", "Before the first repeat, 0 to 60.", "seconds"),
    _setting("retry_backoff", "Backoff", "How the delay grows from repeat to repeat.", options=get_args(RetryBackoff)),
    _setting("rate_limit_per_minute", "Rate limit", "0 to 100,000. 0 sends without a limit.", "per minute"),
    _setting("circuit_breaker_threshold", "Circuit threshold", "Failures in a row that open it. 0 never.", "failures"),
    _setting("circuit_breaker_recovery_seconds", "Circuit recovery", "Until one test request, 1 to 3,600.", "seconds"),
)
