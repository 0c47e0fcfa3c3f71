"""Comparison: datasets or recipes side by side, on the clips and targets that they share.

Entries are datasets, or recipes where a dataset has several. Two entries are compared on units: dreams of the same clip
(equal bytes and frames) toward the same target, or dreams of the same clip if no target is shared. An entry's value for
a unit is the mean over its dreams. Differences are paired by unit, with 95 % intervals over recordings.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from evaluation.dreams.dream_metrics import block, number
from evaluation.dreams.measures import MEASURES
from evaluation.metrics.intervals import mean_intervals
from evaluation.metrics.shifts import FAILED, SUCCESS

SHARES = {
    "success_top1": "target on top",
    "success_top5": "target in the top 5",
    "top_changed": "another class on top",
    "label_kept": "label stays in the top 5",
}
"""Compared shares, with their titles."""


def compared() -> list[str]:
    """Return the compared columns; each leaves out units without a finite value in both entries."""
    return [*SHARES, *(name for name, measure in MEASURES.items() if measure.compared)]


def unique_names(names: list[str]) -> list[str]:
    """Return unique names, repeated ones with "-2" and so on; letter case does not count."""
    given: set[str] = set()
    found = []
    for name in names:
        candidates = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
        chosen = next(each for each in candidates if each.casefold() not in given)
        given.add(chosen.casefold())
        found.append(chosen)
    return found


def compare(tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Compare the rows of datasets, by name, or the recipes of one.

    Returns:
        comparison.json's content: ``entries`` (name, dataset, recipe, and the figures of
        `evaluation.dreams.dream_metrics.block`) and ``pairs`` (a, b, shared_sources, shared_units, matched_by, and by
        measure {a, b, difference, low, high, n}, where the difference is b minus a).
    """
    entries: dict[str, tuple[str, str | None, pd.DataFrame]] = {}
    for dataset, rows in tables.items():
        recipes = sorted(rows["recipe"].unique())
        if len(recipes) == 1:
            entries[dataset] = (dataset, recipes[0], rows)
            continue
        for recipe in recipes:
            name = f"{dataset}/{recipe}" if len(tables) > 1 else recipe
            entries[name] = (dataset, recipe, rows[rows["recipe"] == recipe])
    return {
        "entries": [
            {"name": name, "dataset": dataset, "recipe": recipe, **block(rows)}
            for name, (dataset, recipe, rows) in entries.items()
        ],
        "pairs": [_pair(a, entries[a][2], b, entries[b][2]) for a, b in itertools.combinations(entries, 2)],
    }


def _pair(a: str, first: pd.DataFrame, b: str, second: pd.DataFrame) -> dict[str, Any]:
    keys = ["clip", "target_index"]
    shared = pd.merge(first[keys].drop_duplicates(), second[keys].drop_duplicates())
    if shared.empty:
        keys = ["clip"]
    units = [_units(rows, keys) for rows in (first, second)]
    common = units[0].index.intersection(units[1].index).sort_values()
    left, right = (each.loc[common].to_numpy(float) for each in units)
    recordings = first.drop_duplicates("clip").set_index("clip")["recording"]
    clusters = list(recordings[common.get_level_values("clip")])
    both = np.isfinite(left) & np.isfinite(right)
    difference = np.where(both, np.subtract(right, left, where=both, out=np.full(left.shape, np.nan)), np.nan)
    estimates = mean_intervals(difference, clusters)
    measures = {}
    for column, (name, found) in enumerate(zip(compared(), estimates, strict=True)):
        kept = both[:, column]
        measures[name] = {
            "a": number(float(left[kept, column].mean())) if kept.any() else None,
            "b": number(float(right[kept, column].mean())) if kept.any() else None,
            "difference": number(found.value),
            "low": number(found.low),
            "high": number(found.high),
            "n": found.n,
        }
    return {
        "a": a,
        "b": b,
        "matched_by": keys,
        "shared_sources": len(set(clusters)),
        "shared_units": len(common),
        "measures": measures,
    }


def _units(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    values = rows.assign(
        success_top1=rows["result_top1"].map({SUCCESS: 1.0, FAILED: 0.0}),
        success_top5=rows["result_top5"].map({SUCCESS: 1.0, FAILED: 0.0}),
    )
    return values.astype(dict.fromkeys(compared(), float)).groupby(keys, sort=True)[compared()].mean()
