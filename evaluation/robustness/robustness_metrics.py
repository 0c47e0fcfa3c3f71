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
from evaluation.robustness.attacks import JUDGE, shared_attack_model
from evaluation.robustness.perturbations import PERTURBATIONS
from evaluation.robustness.robustness_curves import Point
from evaluation.robustness.robustness_plan import RobustnessPlan
from evaluation.robustness.trials import Settings

VERSION = 1
"""Of metrics.json's layout."""


def summarise(
    rows: pd.DataFrame,
    plan: RobustnessPlan,
    judge: Judge,
    settings: Settings,
    trained: Mapping[str, Any] | None,
    notes: Sequence[str],
    failures: Sequence[Failed],
) -> tuple[dict[str, Any], list[Point]]:
    """Return the content of metrics.json, and the curve.

    `trained` describes the training of a head, if any; `notes` are earlier warnings, `failures` unusable clips.
    """
    order = plan.perturbations
    clean_rows = rows[rows["perturbation"] == robustness_curves.CLEAN]
    clean = robustness_curves.figure(clean_rows, multi_label=settings.multi_label)
    points = robustness_curves.curve(rows, order, multi_label=settings.multi_label)
    top = robustness_curves.curve(rows, order, multi_label=False) if settings.multi_label else points
    doubts = trust.doubts(top)
    reasons = [text for texts in doubts.values() for text in texts]
    if not clean.value > 0:
        reasons.insert(0, "the classifier is right on no unchanged clip, so nothing can be said of its robustness")
    main = main_dream(order)
    found = {
        "version": VERSION,
        "judge": judge.name,
        "judge_details": {
            "kind": judge_kind(plan.judge.judge),
            "identity": judge.identity,
            "classes": list(plan.names),
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
        "per_class": robustness_curves.per_class(rows, plan.names, order),
        "worst": robustness_curves.worst(rows, main, plan.names) if main else [],
        "trusted": not reasons,
        "checks": doubts,
        "warnings": [*reasons, *notes, *_warnings(rows, clean.clips, failures)],
        "dreamed_through": _attack_models(plan),
        "versions": versions(),
    }
    return found, points


def main_dream(order: Sequence[str]) -> str | None:
    """Return the first dream among perturbations, None if there are controls only."""
    return next((name for name in order if PERTURBATIONS[name].through), None)


def _attack_models(plan: RobustnessPlan) -> dict[str, Any]:
    """Return the identity of each model that was dreamed through, and its recipe at the largest budget."""
    through = [name for name in dict.fromkeys(PERTURBATIONS[each].through for each in plan.perturbations) if name]
    models = {name: shared_attack_model(plan, name) for name in through}
    return {
        name: {
            "weights": model.identity,
            "recipe": model.recipe(min(plan.budgets)).model_dump(mode="json", exclude_none=True),
        }
        for name, model in models.items()
    }


def _reached(rows: pd.DataFrame, order: Sequence[str]) -> list[dict[str, Any]]:
    """Return how often targeted dreams reach their target: {perturbation, snr_db, value, low, high, n}."""
    rows = rows[rows["reached"].notna()]
    points = []
    for name in order:
        own = rows[rows["perturbation"] == name]
        for snr in sorted(set(own["snr_db"]), reverse=True):
            here = own[own["snr_db"] == snr]
            share = robustness_curves.figure(here.assign(correct=here["reached"].astype(float)), multi_label=False)
            points.append({"perturbation": name, "snr_db": snr, **robustness_curves.share(share)})
    return points


def _warnings(rows: pd.DataFrame, sources: int, failures: Sequence[Failed]) -> list[str]:
    found = []
    own = rows[rows["perturbation"].isin([name for name, each in PERTURBATIONS.items() if each.through == JUDGE])]
    if still := set(own[own["measured_snr_db"].isna()]["id"]):
        clips = f"{counted(len(still), 'clip')} of {own['id'].nunique()}"
        found.append(
            f"{clips} had no gradient in a dream through the classifier, such as {min(still)}: they stayed unchanged, "
            "and their robustness is unknown"
        )
    if sources < FEW_CLIPS:
        found.append(f"intervals come from {sources} recordings: with fewer than {FEW_CLIPS} they are too narrow")
    if failures:
        found.append(f"{len(failures)} clips could not be used (failures.jsonl), such as {failures[0].id}")
    return found
