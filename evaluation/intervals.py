"""Confidence intervals by the bootstrap over clips.

Several dreams of one clip are not independent, so whole clips are drawn, with all their values (Davison & Hinkley 1997,
section 3.8: the cluster bootstrap).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np

RESAMPLES = 2000


def interval(
    values: np.ndarray,
    clips: Sequence[Hashable],
    statistic: Callable[[np.ndarray], float] = lambda values: float(np.mean(values)),
    level: float = 0.95,
) -> tuple[float, float]:
    """Return the percentile interval of a statistic of values [n], drawn by clip.

    Args:
        values: one for each dream.
        clips: [n], of which clip each is.
        statistic: of the values of a resample.
        level: share of resamples within the interval.
    """
    codes = {clip: code for code, clip in enumerate(dict.fromkeys(clips))}
    members: list[list[int]] = [[] for _ in codes]
    for row, clip in enumerate(clips):
        members[codes[clip]].append(row)
    groups = [np.array(rows) for rows in members]
    rng = np.random.default_rng(0)
    drawn = [
        statistic(values[np.concatenate([groups[g] for g in rng.integers(0, len(groups), len(groups))])])
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
