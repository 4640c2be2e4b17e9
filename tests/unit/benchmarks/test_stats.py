"""Figures over repeats: median, range, ratios by round, and what counts as noise."""

from __future__ import annotations

import pytest

from benchmarks.stats import Figure, difference, figure, percentile, ratio


def test_a_figure_is_the_median_and_the_range() -> None:
    assert figure([3.0, 1.0, 2.0]) == Figure(2.0, 1.0, 3.0)


def test_a_figure_of_an_even_number_of_samples_lies_between_the_two_in_the_middle() -> None:
    assert figure([1.0, 2.0, 3.0, 10.0]).median == 2.5


@pytest.mark.parametrize(
    ("samples", "noisy"),
    [([100.0, 100.0, 100.0], False), ([93.0, 100.0, 107.0], False), ([92.0, 100.0, 108.0], True), ([0.0, 0.0], False)],
)
def test_a_range_wider_than_its_share_of_the_median_is_noise(samples: list[float], noisy: bool) -> None:
    assert figure(samples).noisy is noisy


def test_a_ratio_compares_within_a_round_so_that_a_slow_round_cancels_out() -> None:
    # given a machine that ran at half speed in the second round
    ours, theirs = [800.0, 400.0, 800.0], [1000.0, 500.0, 1000.0]
    # then the ratio does not show it, though both figures are noise
    assert figure(ours).noisy
    assert ratio(ours, theirs) == Figure(0.8, 0.8, 0.8)


def test_a_difference_compares_within_a_round() -> None:
    assert difference([3.0, 5.0], [1.0, 3.0]) == Figure(2.0, 2.0, 2.0)


def test_rounds_that_do_not_pair_up_are_refused() -> None:
    with pytest.raises(ValueError, match="argument 2"):
        ratio([1.0], [1.0, 2.0])


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0), (0.001, 1.0)])
def test_a_percentile_is_the_nearest_rank(share: float, expected: float) -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], share) == expected


def test_one_sample_is_each_of_its_percentiles() -> None:
    assert percentile([7.0], 0.99) == 7.0


def test_no_samples_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 0.5)
