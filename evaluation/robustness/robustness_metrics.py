"""The metrics.json of a robustness report, from its rows (`evaluation.robustness.robustness_curves`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from augment.counted import counted
from evaluation.dreams.dream_evaluator import Failed
from evaluation.dreams.dream_metrics import FEW_CLIPS, number
from evaluation.dreams.report_folder import versions
from evaluation.judges.judge import Judge
from evaluation.judges.judge_kinds import judge_kind
from evaluation.robustness import robustness_curves, trust
from evaluation.robustness.attacks import JUDGE, Trial, shared_route
from evaluation.robustness.perturbations import PERTURBATIONS
from evaluation.robustness.robustness_curves import Point
from evaluation.robustness.trials import Settings

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
    clean_rows = rows[rows["perturbation"] == robustness_curves.CLEAN]
    clean = robustness_curves.figure(clean_rows, multi_label=settings.multi_label)
    points = robustness_curves.curve(rows, order, multi_label=settings.multi_label)
    top = robustness_curves.curve(rows, order, multi_label=False) if settings.multi_label else points
    doubts = trust.doubts(top)
    reasons = [text for texts in doubts.values() for text in texts]
    main = main_dream(order)
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
        "clean": robustness_curves.share(clean),
        "curve": [robustness_curves.as_json(point) for point in points],
        "halving": robustness_curves.halving(points, clean.value),
        "reached": _reached(rows, order),
        "per_class": robustness_curves.per_class(rows, trial.names, order),
        "worst": robustness_curves.worst(rows, main, trial.names) if main else [],
        "trusted": not reasons,
        "checks": doubts,
        "warnings": [*reasons, *notes, *_no_gradient(rows), *_notes(clean.clips, failures)],
        "dreamed_through": _routes(trial),
        "versions": versions(),
    }
    return found, points


def main_dream(order: Sequence[str]) -> str | None:
    """Return the perturbation that says most: the first dream there is, None if there are controls only."""
    return next((name for name in order if PERTURBATIONS[name].through), None)


def _routes(trial: Trial) -> dict[str, Any]:
    """Return what was dreamed through, with the identity of its weights and its recipe at the largest budget."""
    through = [name for name in dict.fromkeys(PERTURBATIONS[each].through for each in trial.perturbations) if name]
    routes = {name: shared_route(trial, name) for name in through}
    return {
        name: {
            "weights": route.identity,
            "recipe": route.recipe(min(trial.budgets)).model_dump(mode="json", exclude_none=True),
        }
        for name, route in routes.items()
    }


def _reached(rows: pd.DataFrame, order: Sequence[str]) -> list[dict[str, Any]]:
    """Return how often targeted dreams are heard as their target: {perturbation, snr_db, value, low, high, n}."""
    found = []
    for name in order:
        own = rows[(rows["perturbation"] == name) & rows["reached"].notna()]
        for snr in sorted(set(own["snr_db"]), reverse=True):
            here = own[own["snr_db"] == snr]
            told = robustness_curves.figure(here.assign(correct=here["reached"].astype(float)), multi_label=False)
            found.append({"perturbation": name, "snr_db": snr, **robustness_curves.share(told)})
    return found


def _no_gradient(rows: pd.DataFrame) -> list[str]:
    """Tell of clips that dreams through the classifier left just as they were."""
    own = rows[rows["perturbation"].isin([name for name, each in PERTURBATIONS.items() if each.through == JUDGE])]
    still = set(own[own["measured_snr_db"].isna()]["id"])
    if not still:
        return []
    told = f"{counted(len(still), 'clip')} of {own['id'].nunique()} had no gradient in a dream through the classifier"
    return [f"{told}, such as {min(still)}: left as they were, they say nothing of what they withstand"]


def _notes(sources: int, failures: Sequence[Failed]) -> list[str]:
    found = []
    if sources < FEW_CLIPS:
        found.append(f"intervals come from {sources} recordings: of fewer than {FEW_CLIPS} they are too narrow")
    if failures:
        found.append(f"{len(failures)} clips could not be used (failures.jsonl), such as {failures[0].id}")
    return found
