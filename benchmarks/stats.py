"""Medians, ranges and ratios of repeated samples, and the word for those that are too far apart: noise."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Final

import msgspec

NOISE_SPREAD: Final = 0.15
"""A figure whose range is wider than this share of its median is called noise."""


class Figure(msgspec.Struct, frozen=True):
    """One quantity over the repeats of a run."""

    median: float
    low: float
    high: float

    @property
    def spread(self) -> float:
        """The range as a share of the median; 0 for a median of 0."""
        return (self.high - self.low) / abs(self.median) if self.median else 0.0

    @property
    def noisy(self) -> bool:
        return self.spread > NOISE_SPREAD


def figure(samples: Sequence[float]) -> Figure:
    """Median and range of at least one sample."""
    return Figure(statistics.median(samples), min(samples), max(samples))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Figure:
    """Ours over theirs, round by round: what slows the whole machine for a while slows both and cancels out."""
    return figure([our / their for our, their in zip(ours, theirs, strict=True)])


def difference(ours: Sequence[float], theirs: Sequence[float]) -> Figure:
    """Ours less theirs, round by round."""
    return figure([our - their for our, their in zip(ours, theirs, strict=True)])


def percentile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that at least `share` (0 to 1) of all do not exceed (nearest rank)."""
    if not samples:
        raise ValueError("no samples, no percentile")
    return sorted(samples)[max(1, math.ceil(len(samples) * share)) - 1]
