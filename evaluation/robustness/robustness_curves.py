"""The figures of a robustness report: from rows of the classifier's answers to curve, tables and halving budgets.

A row is one clip under one perturbation at one SNR (`ROWS`); rows of `CLEAN` are the unchanged clips. With one label
for each clip the figure is accuracy, with several it is mean average precision (macro: over the classes that occur).
Intervals are 95 % bootstrap intervals over recordings (`evaluation.metrics.intervals`).

Sources: security curves as in Biggio & Roli 2018; average precision over a ranking as in Gemmeke et al. 2017.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from evaluation.dreams import dream_metrics
from evaluation.dreams.dream_metrics import number
from evaluation.metrics.intervals import Estimate, cluster_codes, interval_ends, mean_intervals, resamples

CLEAN = "clean"
"""Stands for the perturbation of an unchanged clip."""

WORST = 10

ROWS = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("uri", pa.string()),
        ("labels", pa.list_(pa.string())),
        ("truth", pa.list_(pa.int32())),  # positions among the classes under test
        ("perturbation", pa.string()),
        ("snr_db", pa.float64()),  # the budget; null of clean
        ("measured_snr_db", pa.float64()),
        ("predicted", pa.int32()),
        ("correct", pa.bool_()),
        ("target", pa.int32()),  # null where there is none
        ("reached", pa.bool_()),
        ("scores", pa.list_(pa.float32())),  # of the classes under test
    ]
)
"""Columns of robustness.parquet."""


@dataclass(frozen=True)
class Point:
    """A point of the curve: accuracy, or mean average precision, of n clips at an SNR, with its interval or nan."""

    perturbation: str
    snr_db: float
    accuracy: float
    low: float
    high: float
    n: int


def figure(rows: pd.DataFrame, *, multi_label: bool) -> Estimate:
    """Return accuracy, or mean average precision, of rows of one perturbation and SNR."""
    sources = list(rows["source"])
    if not multi_label:
        return mean_intervals(rows["correct"].to_numpy(float)[:, None], sources)[0]
    if rows.empty:
        return Estimate(math.nan, math.nan, math.nan, 0, 0)
    scores = np.stack(list(rows["scores"])).astype(np.float64)
    truth = np.zeros(scores.shape, bool)
    for row, positions in zip(truth, rows["truth"], strict=True):
        row[list(positions)] = True
    codes = cluster_codes(sources)
    value = float(mean_average_precision(scores, truth, np.ones((1, len(codes))))[0])
    count = int(codes.max()) + 1
    drawn = np.concatenate([mean_average_precision(scores, truth, block[:, codes]) for block in resamples(count)])
    return Estimate(value, *interval_ends(drawn if count > 1 else np.empty(0)), len(codes), count)


def mean_average_precision(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean over classes of the average precision, [resamples].

    AP is the mean over a class's own clips of the precision at their rank by the class's score; equal scores share the
    last of their ranks. Classes without a clip do not count. Scores and truth are [clips, classes]; weights [resamples,
    clips] say how often each clip counts.
    """
    found = []
    for column in range(scores.shape[1]):
        order = np.argsort(-scores[:, column], kind="stable")
        ranked, own = scores[order, column], truth[order, column]
        last = np.searchsorted(-ranked, -ranked, side="right") - 1  # of those with an equal score
        drawn = weights[:, order]
        hits, seen = np.cumsum(drawn * own, axis=1)[:, last], np.cumsum(drawn, axis=1)[:, last]
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = np.where(seen > 0, hits / seen, 0.0)
            found.append(np.sum(precision * drawn * own, axis=1) / np.sum(drawn * own, axis=1))
    values = np.stack(found, axis=1)
    there = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(there, values, 0.0).sum(axis=1) / there.sum(axis=1)


def curve(rows: pd.DataFrame, order: Sequence[str], *, multi_label: bool) -> list[Point]:
    """Return the points, by perturbation in the given order and from the smallest change to the largest."""
    found = []
    for name in order:
        own = rows[rows["perturbation"] == name]
        for snr in sorted(set(own["snr_db"]), reverse=True):
            here = figure(own[own["snr_db"] == snr], multi_label=multi_label)
            found.append(Point(name, float(snr), here.value, here.low, here.high, here.n))
    return found


def halving(points: Sequence[Point], clean: float) -> dict[str, dict[str, Any]]:
    """Return the SNR at which each perturbation halves the clean accuracy.

    Linear in dB between two budgets, at the first crossing. ``snr_db`` is null outside the measured budgets: ``at`` is
    then "above" (halved at the smallest change already) or "not reached".
    """
    found: dict[str, dict[str, Any]] = {}
    clean = clean or -1.0  # nothing to halve
    for name, group in itertools.groupby(points, key=lambda point: point.perturbation):
        own = sorted(group, key=lambda point: -point.snr_db)
        crossing = next((index for index, point in enumerate(own) if point.accuracy <= clean / 2), None)
        if crossing is None:
            found[name] = {"snr_db": None, "at": "not reached"}
        elif crossing == 0 and own[0].accuracy < clean / 2:
            found[name] = {"snr_db": None, "at": "above"}
        elif crossing == 0:
            found[name] = {"snr_db": own[0].snr_db, "at": "within"}
        else:
            before, after = own[crossing - 1], own[crossing]
            part = (before.accuracy - clean / 2) / (before.accuracy - after.accuracy)
            snr = before.snr_db + part * (after.snr_db - before.snr_db)
            found[name] = {"snr_db": number(snr), "at": "within"}
    return found


def per_class(rows: pd.DataFrame, names: Sequence[str], order: Sequence[str]) -> list[dict[str, Any]]:
    """Return the accuracy on each class's clips: ``{class, n, sources, clean, curve[]}``."""
    found = []
    for position, name in enumerate(names):
        own = rows[[position in truth for truth in rows["truth"]]]
        clean = own[own["perturbation"] == CLEAN]
        if clean.empty:
            continue
        here = figure(clean, multi_label=False)
        points = [as_json(point) for point in curve(own, order, multi_label=False)]
        found.append({"class": name, "n": here.n, "sources": here.clips, "clean": share(here), "curve": points})
    return found


def worst(rows: pd.DataFrame, perturbation: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the clips that the smallest changes mislead: right when clean, wrong at the highest SNR.

    At equal SNR, the clips with the lowest score of their own class come first.
    """
    clean = rows[rows["perturbation"] == CLEAN].set_index("id")
    own = rows[(rows["perturbation"] == perturbation) & ~rows["correct"].astype(bool)]
    own = own[own["id"].map(clean["correct"]).fillna(False).astype(bool)]
    if own.empty:
        return []
    own = own.assign(own_score=[max(s[list(t)]) for s, t in zip(own["scores"], own["truth"], strict=True)])
    own = own.sort_values(["snr_db", "own_score", "id"], ascending=[False, True, True], kind="stable")
    found = []
    for row in own.drop_duplicates("id").head(WORST).to_dict("records"):
        before = clean.loc[row["id"]]
        found.append(
            {
                "id": row["id"],
                "uri": row["uri"],
                "labels": list(row["labels"]),
                "perturbation": perturbation,
                "snr_db": row["snr_db"],
                "predicted": names[row["predicted"]],
                "score_before": number(float(max(before["scores"][list(row["truth"])]))),
                "score_after": number(float(row["own_score"])),
                "predicted_score": number(float(row["scores"][row["predicted"]])),
            }
        )
    return found


def share(estimate: Estimate) -> dict[str, Any]:
    """Return an estimate for JSON: value, low, high, n, sources."""
    found = dream_metrics.share(estimate)
    found["sources"] = found.pop("clips")
    return found


def as_json(point: Point) -> dict[str, Any]:
    """Return a point for JSON, null for unknown values."""
    return {**asdict(point), **{key: number(getattr(point, key)) for key in ("accuracy", "low", "high")}}
