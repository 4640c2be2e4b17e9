"""Colours that can be read: WCAG 2.2 contrast over the tokens, which axe sees only in part."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

TOKENS: Final = Path(__file__).resolve().parents[3] / "services/console/static/css/tokens.css"
TEXT: Final = [
    ("text", "bg"),
    ("text", "card"),
    ("text", "soft"),
    ("dim", "bg"),
    ("dim", "card"),
    ("dim", "soft"),
    ("accent", "bg"),
    ("accent", "card"),
    ("accent", "soft"),
    ("accent-text", "accent"),
    *[(tone, ground) for tone in ("ok", "warn", "bad") for ground in ("bg", "card", f"{tone}-soft")],
    ("text", "code-ground"),
]
BORDERS: Final = [("field-line", "card"), ("field-line", "bg"), ("accent", "card"), ("bad", "card")]


def colours(theme: int) -> dict[str, str]:
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", TOKENS.read_text())
    return {name: both[theme] for name, *both in pairs}


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_holds_four_and_a_half_to_one(theme: int) -> None:
    found = colours(theme)
    low = {pair: round(contrast(found[pair[0]], found[pair[1]]), 2) for pair in TEXT}
    assert {pair: ratio for pair, ratio in low.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_borders_of_controls_hold_three_to_one(theme: int) -> None:
    found = colours(theme)
    low = {pair: round(contrast(found[pair[0]], found[pair[1]]), 2) for pair in BORDERS}
    assert {pair: ratio for pair, ratio in low.items() if ratio < 3} == {}
