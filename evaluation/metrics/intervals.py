"""Confidence intervals by the bootstrap over clips.

Several dreams of one clip are not independent, so whole clips are drawn, with all their values (Davison & Hinkley 1997,
section 3.8: the cluster bootstrap). An interval is the percentile interval of `RESAMPLES` draws with a fixed seed. It
depends on the values and on the order in which clips first appear, so callers sort their rows.

`interval` takes any statistic. `mean_intervals` and `quantile_interval` give the same for means and quantiles, in
seconds for a hundred thousand rows: they count how often each clip is drawn, and never copy rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000

LEVEL = 0.95
"""Share of resamples within an interval."""

_BLOCK = 1 << 16  # numbers in a block of resamples: few enough for a core's cache


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval, from n values of some clips; the interval is nan for fewer than two clips."""

    value: float
    low: float
    high: float
    n: int
    clips: int


def interval(
    values: np.ndarray,
    clips: Sequence[Hashable],
    statistic: Callable[[np.ndarray], float] = lambda values: float(np.mean(values)),
) -> tuple[float, float]:
    """Return the interval of a statistic of values [n], drawn by clip: clips [n] names the clip of each value."""
    codes = cluster_codes(clips)
    groups = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]
    rng = np.random.default_rng(0)
    drawn = [
        statistic(values[np.concatenate([groups[g] for g in rng.integers(0, len(groups), len(groups))])])
        for _ in range(RESAMPLES)
    ]
    return interval_ends(np.array(drawn))


def cluster_codes(clips: Sequence[Hashable]) -> np.ndarray:
    """Number clips in the order of their first appearance: int64 [n]."""
    codes: dict[Hashable, int] = {}
    return np.array([codes.setdefault(clip, len(codes)) for clip in clips], np.int64)


def mean_intervals(values: np.ndarray, clips: Sequence[Hashable]) -> list[Estimate]:
    """Return the mean of each column of values [n, columns] with its interval; a nan does not count in its column.

    A resample's mean is sum(drawn values) / number of drawn values: a ratio, as clips have different numbers of values.
    """
    values = np.asarray(values, np.float64)
    codes = cluster_codes(clips)
    count, there = int(codes.max(initial=-1)) + 1, ~np.isnan(values)
    sums, counts = np.zeros((2, count, values.shape[1]))
    np.add.at(sums, codes, np.where(there, values, 0.0))
    np.add.at(counts, codes, there)
    means = []
    for weights in resamples(count):
        with np.errstate(invalid="ignore", divide="ignore"):
            means.append((weights @ sums) / (weights @ counts))  # [resamples, columns]
    found = []
    for column in range(values.shape[1]):
        n, own = int(there[:, column].sum()), int((counts[:, column] > 0).sum())
        value = float(values[there[:, column], column].mean()) if n else math.nan
        drawn = np.concatenate([block[:, column] for block in means]) if own > 1 else np.empty(0)
        found.append(Estimate(value, *interval_ends(drawn), n, own))
    return found


def quantile_interval(values: np.ndarray, clips: Sequence[Hashable], quantile: float = 0.5) -> Estimate:
    """Return a quantile of the finite values [n] with its interval; clips [n] names the clip of each value.

    The value is NumPy's (linear between neighbours); a resample's is the least value that has at least the share of the
    drawn values at or below it.
    """
    values = np.asarray(values, np.float64)
    finite = np.isfinite(values)
    codes, values = cluster_codes([clip for clip, kept in zip(clips, finite, strict=True) if kept]), values[finite]
    count = int(codes.max(initial=-1)) + 1
    if not len(values):
        return Estimate(math.nan, math.nan, math.nan, 0, 0)
    order = np.argsort(values, kind="stable")
    middle, width, drawn = int(quantile * len(values)), 1000, None
    while count > 1 and drawn is None:  # the quantiles of resamples lie near that of the values
        window = slice(max(0, middle - width), middle + width)
        drawn = _drawn_quantiles(values[order], codes[order], quantile, window)
        width *= 4
    low, high = interval_ends(np.empty(0) if drawn is None else drawn)
    return Estimate(float(np.quantile(values, quantile)), low, high, len(values), count)


def _drawn_quantiles(values: np.ndarray, codes: np.ndarray, quantile: float, window: slice) -> np.ndarray | None:
    """Return a quantile of each resample, None if one lies outside a window of the sorted values [n]."""
    count = int(codes.max()) + 1
    below, whole = (np.bincount(part, minlength=count) for part in (codes[: window.start], codes))
    inside, near = codes[window], values[window]
    found = []
    for weights in resamples(count, len(near)):
        upto = (weights @ below)[:, None] + np.cumsum(weights[:, inside], axis=1)  # [resamples, window]
        wanted = quantile * (weights @ whole)
        if (window.start and np.any(weights @ below >= wanted)) or np.any(upto[:, -1] < wanted):
            return None
        found.append(near[np.argmax(upto >= wanted[:, None], axis=1)])
    return np.concatenate(found)


def resamples(count: int, width: int = 0) -> Iterator[np.ndarray]:
    """Give how often each of `count` clips is drawn: float64 [resamples, clips], in blocks.

    `width` is the size of what the caller computes for a resample, if that is more than the number of clips.
    """
    rng = np.random.default_rng(0)
    block = max(1, _BLOCK // max(1, count, width))
    for first in range(0, RESAMPLES if count else 0, block):
        rows = min(block, RESAMPLES - first)
        drawn = rng.integers(0, count, (rows, count)) + count * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count).astype(np.float64)


def interval_ends(drawn: np.ndarray) -> tuple[float, float]:
    """Return the interval of the finite statistics of resamples; nan if there are none."""
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return math.nan, math.nan
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
