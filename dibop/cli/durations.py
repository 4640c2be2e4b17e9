"""Durations as people write them on the command line: 90s, 10m, 8h, 7d."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from dibop.cli import runner

_UNITS: Final[Mapping[str, int]] = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION: Final = re.compile(r"([1-9][0-9]{0,8})([smhd]?)\Z")


def seconds(text: str, option: str, *, most: str) -> int:
    """The seconds of `text`, the value of `option`; wrong usage for what is none, or is more than `most`."""
    match, limit = _DURATION.match(text), _DURATION.match(most)
    found = _seconds(match) if match else 0
    if limit is None or not 0 < found <= _seconds(limit):
        runner.wrong_usage(f"{option} {text!r} must be a number with s, m, h or d, as 90s or 8h; {most} at most")
    return found


def _seconds(match: re.Match[str]) -> int:
    return int(match[1]) * _UNITS[match[2]]
