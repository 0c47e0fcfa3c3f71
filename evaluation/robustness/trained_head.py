"""A classifier for the report: a linear head on YAMNet's embeddings, trained on some of the clips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from apache_beam.options.pipeline_options import PipelineOptions

from augment.counted import counted
from augment.models.heads import save_head
from evaluation.dreams.dream_evaluator import Failed
from evaluation.dreams.dream_metrics import number
from evaluation.dreams.evaluation_graph import read_failures, read_rows
from evaluation.dreams.report_folder import ReportError, parts_folder
from evaluation.judges.head_judge import fit_head
from evaluation.judges.judge import JudgeSpec
from evaluation.judges.judge_kinds import forget_judges
from evaluation.robustness.attacks import forget_attack_models
from evaluation.robustness.robustness_graph import EMBEDDINGS, embed
from evaluation.robustness.robustness_plan import Item
from evaluation.robustness.robustness_worker import ReadItem
from pipelines.progress import Watch


def overlap(training: Sequence[Item], tested: Sequence[Item]) -> list[str]:
    """Return a warning if recordings are both trained on and tested."""
    both = {item.source for item in training} & {item.source for item in tested}
    if not both:
        return []
    recordings = f"{counted(len(both), 'recording')} both trained on and tested, such as {min(both)}"
    return [f"{recordings}: a head knows its training clips, so the figures are too good"]


def train(
    items: Sequence[Item], folder: Path, judge: JudgeSpec, read: ReadItem, options: PipelineOptions, watch: Watch
) -> tuple[JudgeSpec, dict[str, Any], list[Failed]]:
    """Train a head and store it as head.npz; return it as a judge, with a summary of its training and the failures.

    Args:
        items: the clips, of one label each.
        folder: of the report.
        judge: names YAMNet's weights.
        read: reads clips; it is pickled.
        options: Beam's.
        watch: shows the progress.

    Raises:
        ReportError: no clip can be used.
        JudgeError: there are fewer than two labels.
    """
    with parts_folder(folder) as parts:
        with watch(parts, len(items), "training clips embedded"):
            embed(items, judge.weights, read, parts, options)
        rows, failures = read_rows(parts, EMBEDDINGS, ["id"]), read_failures(parts)
    if rows.empty:
        raise ReportError(f"none of the {len(items)} training clips could be used; the first: {failures[0].error}")
    embeddings, labels = np.stack(list(rows["embedding"])).astype(np.float64), list(rows["label"])
    head = fit_head(embeddings, labels)
    path = folder / "head.npz"
    save_head(head, path)
    forget_judges()
    forget_attack_models()
    right = head.logits(embeddings).argmax(axis=1) == [head.names.index(label) for label in labels]
    summary = {"clips": len(rows), "classes": len(head.names), "training_accuracy": number(float(right.mean()))}
    return JudgeSpec(str(path), weights=judge.weights), summary, failures
