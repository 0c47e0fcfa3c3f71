"""Comparison: datasets or recipes side by side, on the clips and targets that they share.

Entries are datasets, or where one of them has several recipes its recipes one by one. Two entries are compared on
units: dreams of the same clip (the same bytes and frames, whatever it is called) toward the same target; where no
clip has the same target in both, dreams of the same clip. An entry's value for a unit is the mean over its dreams, the
difference is taken unit by unit, and its 95 % interval is drawn over recordings: what is common to both, such as how
hard a clip is, falls out.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from evaluation.dreams.dream_metrics import block, number
from evaluation.metrics.intervals import mean_intervals
from evaluation.metrics.shifts import FAILED, SUCCESS

MEASURES = (
    *("success_top1", "success_top5", "top_changed", "label_kept"),
    *("js_divergence", "embedding_distance", "snr_db", "segmental_snr_db", "log_spectral_distance_db"),
)
"""What is compared; a measure that has no finite value for a unit in both entries leaves the unit out."""


def unique_names(names: list[str]) -> list[str]:
    """Return the names, the second of a kind with "-2" and so on; letter case does not tell them apart."""
    given: set[str] = set()
    found = []
    for name in names:
        candidates = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
        chosen = next(each for each in candidates if each.casefold() not in given)
        given.add(chosen.casefold())
        found.append(chosen)
    return found


def compare(tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Compare the rows of several datasets, or the recipes of one.

    Args:
        tables: rows of examples.parquet by the name of the dataset.

    Returns:
        comparison.json's content: ``entries`` (name, dataset, recipe, and the figures of
        `evaluation.dreams.dream_metrics.block`) and ``pairs`` (a, b, shared_sources, shared_units, matched_by, and by
        measure {a, b, difference, low, high, n}, the difference being b minus a).
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
    for column, (name, found) in enumerate(zip(MEASURES, estimates, strict=True)):
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
    return values.astype(dict.fromkeys(MEASURES, float)).groupby(keys, sort=True)[list(MEASURES)].mean()
