"""The metrics of a dataset: from the rows of its examples to metrics.json.

All shares and means have 95 % intervals over source recordings (`evaluation.metrics.intervals`): ``{value, low, high,
n}``, where n counts examples. What cannot be measured is null, such as the interval of one recording. Stable keys:

    n_examples, n_sources (recordings), judge
    success.top1, success.top5     targets that reached the judge's top classes, among those not there before
    top_changed                    another class is on top
    label_kept                     a label is still among the top classes, among those that were
    target_rank.{before,after}_median
    snr_db.{median,p10,p90}        over finite values; `identical` counts outputs equal to their originals (infinite)
    fad                            Fréchet audio distance of YAMNet's embeddings, outputs against originals
    by_transform.<name>            the same by group; so by_recipe, by_target, by_label and by_budget (measured SNR)
    warnings[]                     what limits the figures
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from evaluation.dreams.dream_evaluator import ORIGINALS
from evaluation.dreams.dream_rows import LEVELS
from evaluation.dreams.measures import MEASURES
from evaluation.metrics import frechet
from evaluation.metrics.frechet import Sums
from evaluation.metrics.intervals import Estimate, mean_intervals, quantile_interval
from evaluation.metrics.kinship import OUTCOMES
from evaluation.metrics.shifts import FAILED, SKIPPED, SUCCESS

FEW_CLIPS = 20
"""With fewer recordings the bootstrap's intervals are too narrow."""

BUDGETS = (10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0)
"""dB, edges of the bands of measured SNR."""


def summarise(rows: pd.DataFrame, sums: Mapping[Any, Sums]) -> dict[str, Any]:
    """Return the metrics of sorted rows, without judge and warnings; sums are by `ORIGINALS` or transform, recipe."""
    distances = frechet_distances(sums)
    originals, total = (sums[ORIGINALS].n if ORIGINALS in sums else 0), sum(each.n for each in sums.values())
    transforms, recipes = _groups(rows, "transform"), _groups(rows, "recipe")
    by_label, by_band = rows.explode("labels"), rows.assign(band=budget_bands(rows))
    return {
        **block(rows),
        "fad": distances.get(("", "")),
        "fad_n": {"originals": originals, "outputs": total - originals},
        "by_transform": {name: {**block(own), "fad": distances.get((name, ""))} for name, own in transforms},
        "by_recipe": {name: {**block(own), "fad": distances.get(("", name))} for name, own in recipes},
        "by_target": {name: block(own, medians=False) for name, own in _groups(rows, "target_name")},
        "by_label": {name: block(own, medians=False) for name, own in _groups(by_label, "labels")},
        "by_budget": {name: block(own, medians=False) for name, own in _groups(by_band, "band")},
        "shifts": shift_matrices(rows),
    }


def block(rows: pd.DataFrame, *, medians: bool = True) -> dict[str, Any]:
    """Return the figures of some rows of examples.parquet, without the Fréchet distance.

    With `medians`, the medians of SNR and rank have intervals; other distortions have none.
    """
    clips = list(rows["recording"])
    top1, top5 = (_success(rows[column]) for column in ("result_top1", "result_top5"))
    columns = {
        "success_top1": top1,
        "success_top5": top5,
        **{name: rows[name].astype(float) for name in ("top_changed", "label_kept", "label_before", "label_after")},
        **{name: rows[name] for name, measure in MEASURES.items() if measure.summary == "mean"},
    }
    estimates = mean_intervals(np.column_stack([column.to_numpy(float) for column in columns.values()]), clips)
    found = {name: share(estimate) for name, estimate in zip(columns, estimates, strict=True)}
    snr = rows["snr_db"].to_numpy(float)
    return {
        "n_examples": len(rows),
        "n_sources": rows["recording"].nunique(),
        "success": {"top1": found.pop("success_top1"), "top5": found.pop("success_top5")},
        "results": {key: int((rows["result_top1"] == key).sum()) for key in (SUCCESS, FAILED, SKIPPED)},
        **found,
        "outcomes": _outcomes(rows["outcome"]),
        "target_rank": {
            **_median(rows["target_rank_before"], clips if medians else None, "before"),
            **_median(rows["target_rank_after"], clips if medians else None, "after"),
        },
        "target_score": {
            "before_mean": number(rows["target_score_before"].mean()),
            "after_mean": number(rows["target_score_after"].mean()),
        },
        "snr_db": {
            **quantiles(snr, clips if medians else None),
            "identical": int(np.sum(snr == np.inf)),
            "silent": int(np.sum(snr == -np.inf)),
        },
        **{
            name: quantiles(rows[name].to_numpy(float), None)
            for name, measure in MEASURES.items()
            if measure.summary == "quantiles"
        },
    }


def share(estimate: Estimate) -> dict[str, Any]:
    """Return an estimate for metrics.json: value, low, high, n, clips."""
    return {key: number(value) if isinstance(value, float) else value for key, value in asdict(estimate).items()}


def number(value: float, digits: int = 6) -> float | None:
    """Return a number for JSON, rounded to significant digits; None if it is not finite."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def quantiles(values: np.ndarray, clips: Sequence[str] | None) -> dict[str, Any]:
    """Return the median, 10th and 90th percentile of finite values [n]; clips [n] give the median an interval."""
    finite = values[np.isfinite(values)]
    ends = np.quantile(finite, [0.1, 0.5, 0.9]) if len(finite) else np.full(3, math.nan)
    median = quantile_interval(values, clips) if clips is not None else None
    return {
        "median": number(float(ends[1])),
        "low": None if median is None else number(median.low),
        "high": None if median is None else number(median.high),
        "p10": number(float(ends[0])),
        "p90": number(float(ends[2])),
        "n": len(finite),
    }


def frechet_distances(sums: Mapping[Any, Sums]) -> dict[tuple[str, str], float | None]:
    """Return the Fréchet distance from all originals to outputs, by transform and recipe; "" stands for all of them.

    A distance takes seconds, so equal sets are measured once.
    """
    if ORIGINALS not in sums:
        return {}
    outputs = sorted(key for key in sums if key != ORIGINALS)
    wanted = {("", "")} | {(transform, "") for transform, _ in outputs} | {("", recipe) for _, recipe in outputs}
    known: dict[tuple[Any, ...], float | None] = {}
    found = {}
    for transform, recipe in sorted(wanted):
        own = tuple(key for key in outputs if transform in ("", key[0]) and recipe in ("", key[1]))
        if own and own not in known:
            known[own] = number(frechet.distance(sums[ORIGINALS], _total(sums, own)))
        found[transform, recipe] = known.get(own)
    return found


def budget_bands(rows: pd.DataFrame) -> pd.Series:
    """Return the band of each row's measured SNR: "below 10", "10 to 15" ... "40 or more", "identical"."""
    inner = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(BUDGETS)]
    names = [f"below {BUDGETS[0]:g}", *inner, f"{BUDGETS[-1]:g} or more"]
    found = [names[int(np.searchsorted(BUDGETS, snr, side="right"))] for snr in rows["snr_db"]]
    bands = ["identical" if snr == np.inf else name for snr, name in zip(rows["snr_db"], found, strict=True)]
    return pd.Series(pd.Categorical(bands, [*names, "identical"], ordered=True), index=rows.index)


def shift_matrices(rows: pd.DataFrame) -> dict[str, Any]:
    """Return success by source and target class, and how the judge's top class moved.

    Keys are the levels of the ontology (`LEVELS`) and ``label`` (the dataset's label against the target's root). Each
    has ``targets``: cells {source, target, n, success_top1}, by the top class before and the target; the levels also
    have ``moves``: cells {before, after, n}, by the judge's top class. Without an ontology there are no levels.
    """
    found: dict[str, Any] = {}
    scored = rows.assign(success=_success(rows["result_top1"]))
    for level in LEVELS:
        before, after, target = (f"{level}_{what}" for what in ("before", "after", "target"))
        if rows[target].notna().any():
            moves = rows.groupby([before, after], sort=True).size().reset_index(name="n")
            found[level] = {
                "targets": _cells(scored, before, target),
                "moves": [{"before": was, "after": is_, "n": int(n)} for was, is_, n in moves.itertuples(index=False)],
            }
    labelled, root = scored.explode("labels"), f"{next(iter(LEVELS))}_target"
    if labelled["labels"].notna().any() and rows[root].notna().any():
        found["label"] = {"targets": _cells(labelled, "labels", root)}
    return found


def warnings_of(rows: pd.DataFrame, sums: Mapping[Any, Sums]) -> list[str]:
    """Return what limits the figures, by rows and sums."""
    found = []
    recordings = rows["recording"].nunique()
    if recordings < 2:
        found.append("there is one source recording: no interval can be given")
    elif recordings < FEW_CLIPS:
        found.append(f"intervals come from {recordings} recordings: with fewer than {FEW_CLIPS} they are too narrow")
    if lost := int((~rows["recording_found"].astype(bool)).sum()):
        found.append(
            f"{lost} dreams are of dreams whose own dataset cannot be read: their recordings are unknown, and may be "
            "counted more than once"
        )
    keys = sorted(key for key in sums if key != ORIGINALS)
    outputs = _total(sums, keys) if keys else None
    if ORIGINALS not in sums or outputs is None:
        found.append("there are no YAMNet embeddings: fad and embedding_distance are left out")
    elif not (frechet.enough(sums[ORIGINALS]) and frechet.enough(outputs)):
        size = len(outputs.total)
        found.append(
            f"fad is taken over {sums[ORIGINALS].n} patches of originals and {outputs.n} of outputs: with {size} or "
            "fewer it is biased upward (the covariances are not of full rank)"
        )
    known = int(rows["target_rank_after"].notna().sum())
    if known < len(rows):
        found.append(
            f"the judge has no class for the target of {len(rows) - known} of {len(rows)} examples (--class-map)"
        )
    labelled = rows[rows["labels"].map(len) > 0]
    unknown = sorted(set(labelled[labelled["label_before"].isna()]["labels"].explode()))
    if unknown:
        shown = ", ".join(unknown[:5]) + (" ..." if len(unknown) > 5 else "")
        found.append(f"the judge has no class for {len(unknown)} labels ({shown}): map them with --class-map")
    skipped = int((rows["result_top1"] == SKIPPED).sum())
    if skipped:
        found.append(f"{skipped} targets were on top before the dream: they are neither success nor failure")
    return found


def _success(results: pd.Series) -> pd.Series:
    return results.map({SUCCESS: 1.0, FAILED: 0.0}).astype(float)


def _outcomes(outcomes: pd.Series) -> dict[str, Any]:
    """Count the kinship of the top class to the target; empty if it is unknown."""
    counts = outcomes.value_counts()
    return {name: int(counts.get(name, 0)) for name in OUTCOMES} if len(counts) else {}


def _median(ranks: pd.Series, clips: Sequence[str] | None, when: str) -> dict[str, float | None]:
    found = quantiles(ranks.to_numpy(float, na_value=math.nan), clips)
    return {f"{when}_{key}": found[key] for key in ("median", "low", "high")}


def _groups(rows: pd.DataFrame, column: str) -> Iterator[tuple[str, pd.DataFrame]]:
    for name, own in rows.groupby(column, sort=True, observed=True):
        yield str(name), own


def _cells(rows: pd.DataFrame, source: str, target: str) -> list[dict[str, Any]]:
    groups = rows.groupby([source, target], sort=True)["success"]
    return [
        {"source": key[0], "target": key[1], "n": len(own), "success_top1": number(float(own.mean()))}  # type: ignore[index]
        for key, own in groups
    ]


def _total(sums: Mapping[Any, Sums], keys: Sequence[Any]) -> Sums:
    return functools.reduce(operator.add, (sums[key] for key in keys))
