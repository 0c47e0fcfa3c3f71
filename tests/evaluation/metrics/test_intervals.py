"""Intervals over clips: the quick ones give what drawing rows one by one gives."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evaluation.metrics.intervals import interval, mean_intervals, quantile_interval

RNG = np.random.default_rng(3)
CLIPS = [f"clip {number}" for number in RNG.integers(0, 12, 60)]
VALUES = RNG.normal(size=60) + np.array([len(clip) for clip in CLIPS])


def test_the_quick_mean_is_that_of_resamples_drawn_row_by_row() -> None:
    (found,) = mean_intervals(VALUES[:, None], CLIPS)
    assert found.value == pytest.approx(VALUES.mean())
    assert (found.low, found.high) == pytest.approx(interval(VALUES, CLIPS))
    assert (found.n, found.clips) == (60, len(set(CLIPS)))


def test_the_quick_quantile_is_that_of_resamples_drawn_row_by_row() -> None:
    for share in (0.1, 0.5, 0.9):
        found = quantile_interval(VALUES, CLIPS, share)

        def drawn(values: np.ndarray, share: float = share) -> float:
            return float(np.quantile(values, share, method="inverted_cdf"))

        assert found.value == pytest.approx(np.quantile(VALUES, share))
        assert (found.low, found.high) == pytest.approx(interval(VALUES, CLIPS, drawn))


def test_a_quantile_far_from_the_middle_of_its_resamples_is_found_all_the_same() -> None:
    values = np.concatenate([np.arange(3_000.0), 10_000 + np.arange(3_000.0)])  # one clip is low, the other high
    clips = ["low"] * 3_000 + ["high"] * 3_000
    found = quantile_interval(values, clips)
    assert (found.low, found.high) == (1_499, 11_499)


def test_values_that_do_not_apply_do_not_count() -> None:
    values = np.where(np.arange(60) % 3 == 0, np.nan, VALUES)
    kept = ~np.isnan(values)
    both, alone = mean_intervals(np.column_stack([values, np.full(60, np.nan)]), CLIPS)
    assert (both.value, both.n) == (pytest.approx(VALUES[kept].mean()), 40)
    assert math.isnan(alone.value)
    assert (alone.n, alone.clips) == (0, 0)
    assert math.isnan(alone.low)
    assert quantile_interval(np.where(kept, VALUES, np.inf), CLIPS).n == 40


def test_of_one_clip_there_is_a_value_and_no_interval() -> None:
    (mean,) = mean_intervals(np.array([[1.0], [0.0]]), ["a", "a"])
    median = quantile_interval(np.array([1.0, 0.0]), ["a", "a"])
    for found in (mean, median):
        assert (found.value, found.n, found.clips) == (0.5, 2, 1)
        assert math.isnan(found.low)
        assert math.isnan(found.high)


def test_nothing_at_all_gives_nothing() -> None:
    (mean,) = mean_intervals(np.empty((0, 1)), [])
    assert (mean.n, math.isnan(mean.value), math.isnan(mean.low)) == (0, True, True)
    assert quantile_interval(np.empty(0), []).n == 0


def test_copies_of_a_clip_make_the_interval_no_narrower() -> None:
    values, clips = RNG.normal(size=30), [str(number) for number in range(30)]
    (single,) = mean_intervals(values[:, None], clips)
    (tenfold,) = mean_intervals(np.tile(values, 10)[:, None], clips * 10)
    assert (tenfold.low, tenfold.high) == pytest.approx((single.low, single.high))


def test_the_interval_holds_the_truth_nineteen_times_in_twenty() -> None:
    held = 0
    for trial in range(200):
        rng = np.random.default_rng(trial)
        (found,) = mean_intervals(rng.normal(5, 1, (60, 1)) + np.repeat(rng.normal(0, 1, 30), 2)[:, None], PAIRS)
        held += found.low <= 5 <= found.high
    assert 180 <= held <= 199


PAIRS = [str(number // 2) for number in range(60)]


def test_a_hundred_thousand_rows_go_in_blocks_that_give_the_same() -> None:
    values = np.tile(VALUES, 1667)[:100_000]
    clips = [str(number % 9_000) for number in range(100_000)]
    (found,) = mean_intervals(values[:, None], clips)
    expected = 1.96 * np.bincount(np.arange(100_000) % 9_000, values).std() / (100_000 / 9_000) / math.sqrt(9_000)
    assert found.high - found.low == pytest.approx(2 * expected, rel=0.1)
