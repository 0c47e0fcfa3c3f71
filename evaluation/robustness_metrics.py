"""What a robustness report says in metrics.json, put together from its rows (`evaluation.security`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from evaluation import security, trust
from evaluation.bench import Trial
from evaluation.folders import versions
from evaluation.judges import Judge, judge_kind
from evaluation.metrics import FEW_CLIPS, number
from evaluation.perturbations import PERTURBATIONS
from evaluation.security import Point
from evaluation.trials import Settings
from evaluation.worker import Failed

VERSION = 1
"""Of metrics.json's layout."""


def summarise(
    rows: pd.DataFrame,
    trial: Trial,
    judge: Judge,
    settings: Settings,
    trained: Mapping[str, Any] | None,
    notes: Sequence[str],
    failures: Sequence[Failed],
) -> tuple[dict[str, Any], list[Point]]:
    """Return the content of metrics.json, and the curve.

    Args:
        rows: of robustness.parquet.
        trial: what was tried.
        judge: the classifier.
        settings: what the user chose.
        trained: what a head was trained on.
        notes: what has to be known before the figures are believed.
        failures: clips that could not be used.
    """
    order = trial.perturbations
    clean_rows = rows[rows["perturbation"] == security.CLEAN]
    clean = security.figure(clean_rows, multi_label=settings.multi_label)
    points = security.curve(rows, order, multi_label=settings.multi_label)
    top = security.curve(rows, order, multi_label=False) if settings.multi_label else points
    reasons = trust.doubts(top)
    main = next((name for name in order if PERTURBATIONS[name].through), None)
    found = {
        "version": VERSION,
        "judge": judge.name,
        "judge_details": {
            "kind": judge_kind(trial.judge.judge),
            "identity": judge.identity,
            "classes": list(trial.names),
            "sample_rate": judge.sample_rate,
            "trained": dict(trained) if trained else None,
        },
        "seed": settings.seed,
        "steps": settings.steps,
        "metric": "map" if settings.multi_label else "accuracy",
        "n_clips": clean.n,
        "n_sources": clean.clips,
        "n_failed": len(failures),
        "clean_accuracy": number(clean.value),
        "clean": security.share(clean),
        "curve": [security.as_json(point) for point in points],
        "halving": security.halving(points, clean.value),
        "reached": _reached(rows, order),
        "per_class": security.per_class(rows, trial.names, order),
        "worst": security.worst(rows, main, trial.names) if main else [],
        "trusted": not reasons,
        "warnings": [*reasons, *notes, *_notes(clean.clips, failures)],
        "versions": versions(),
    }
    return found, points


def _reached(rows: pd.DataFrame, order: Sequence[str]) -> list[dict[str, Any]]:
    """Return how often targeted dreams are heard as their target: {perturbation, snr_db, value, low, high, n}."""
    found = []
    for name in order:
        own = rows[(rows["perturbation"] == name) & rows["reached"].notna()]
        for snr in sorted(set(own["snr_db"]), reverse=True):
            here = own[own["snr_db"] == snr]
            told = security.figure(here.assign(correct=here["reached"].astype(float)), multi_label=False)
            found.append({"perturbation": name, "snr_db": snr, **security.share(told)})
    return found


def _notes(sources: int, failures: Sequence[Failed]) -> list[str]:
    found = []
    if sources < FEW_CLIPS:
        found.append(f"intervals come from {sources} source clips: of fewer than {FEW_CLIPS} they are too narrow")
    if failures:
        found.append(f"{len(failures)} clips could not be used (failures.jsonl), such as {failures[0].id}")
    return found
