"""Measures of a dream against its original, one column of examples.parquet each.

To add one, write its function and list it in `MEASURES`: rows, metrics.json, comparisons and pages take it from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from evaluation.judges.judge import Judgement
from evaluation.metrics.distortion import Distortion, Original
from evaluation.metrics.shifts import cosine_distance, js_divergence


@dataclass(frozen=True, eq=False)
class DreamPair:
    """A dream, float32 [samples, channels], and its original, with the judge's scores of original and dream."""

    original: Original
    output: np.ndarray
    before: Judgement
    after: Judgement

    @cached_property
    def distortion(self) -> Distortion:
        """How far the sounds are apart."""
        return self.original.measure(self.output)


@dataclass(frozen=True)
class Measure:
    """A measure.

    Attributes:
        title: on pages.
        compute: its value for a dream, None if it does not apply.
        digits: on pages, after the point.
        summary: its form in metrics.json: the "mean" with an interval, "quantiles", or None for none.
        compared: comparisons of datasets and recipes include it.
    """

    title: str
    compute: Callable[[DreamPair], float | None]
    digits: int = 1
    summary: str | None = None
    compared: bool = False


def divergence(pair: DreamPair) -> float:
    """Return the Jensen-Shannon divergence of the scores, bits."""
    return js_divergence(pair.before.scores, pair.after.scores)


def embedding_distance(pair: DreamPair) -> float | None:
    """Return the cosine distance of the mean embeddings; None without embeddings."""
    if pair.before.embeddings is None or pair.after.embeddings is None:
        return None
    patches = pair.before.embeddings, pair.after.embeddings
    first, second = (each.mean(axis=0, dtype=np.float64) for each in patches)
    return cosine_distance(first, second)


MEASURES: dict[str, Measure] = {
    "js_divergence": Measure("JS divergence, bits", divergence, 3, "mean", compared=True),
    "embedding_distance": Measure("embedding distance", embedding_distance, 3, "mean", compared=True),
    "snr_db": Measure("SNR, dB", lambda pair: pair.distortion.snr_db, compared=True),
    "segmental_snr_db": Measure(
        "segmental SNR, dB", lambda pair: pair.distortion.segmental_snr_db, summary="quantiles", compared=True
    ),
    "log_spectral_distance_db": Measure(
        "log-spectral distance, dB",
        lambda pair: pair.distortion.log_spectral_distance_db,
        summary="quantiles",
        compared=True,
    ),
    "lufs_before": Measure("loudness before, LUFS", lambda pair: pair.distortion.lufs_before),
    "lufs_after": Measure("loudness after, LUFS", lambda pair: pair.distortion.lufs_after),
    "lufs_change": Measure("loudness of the change, LUFS", lambda pair: pair.distortion.lufs_change, 1, "quantiles"),
    "lufs_difference": Measure("loudness difference, LU", lambda pair: pair.distortion.lufs_difference, 1, "quantiles"),
    "peak": Measure("peak", lambda pair: pair.distortion.peak, 3, "quantiles"),
}
"""The measures, in the order of the columns. The SNR's own summary is in `evaluation.dreams.dream_metrics`."""
