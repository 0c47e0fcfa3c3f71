"""A classifier of the report's own: a linear head that is trained on some of the clips, on YAMNet's embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from apache_beam.options.pipeline_options import PipelineOptions

from augment.counted import counted
from evaluation.dreams.dream_evaluator import Failed
from evaluation.dreams.dream_metrics import number
from evaluation.dreams.evaluation_graph import read_failures
from evaluation.dreams.report_folder import ReportError, parts_folder
from evaluation.judges.head_judge import fit_head, save_head
from evaluation.judges.judge import JudgeSpec
from evaluation.judges.judge_kinds import forget_judges
from evaluation.robustness import robustness_graph as pipeline
from evaluation.robustness.attacks import Item, forget_routes
from evaluation.robustness.robustness_worker import ReadItem
from pipelines.progress import Watch


def overlap(training: Sequence[Item], tried: Sequence[Item]) -> list[str]:
    """Return what to know of recordings that are both trained on and tried; nothing if there are none."""
    both = {item.source for item in training} & {item.source for item in tried}
    if not both:
        return []
    told = f"{counted(len(both), 'recording')} both trained on and tried, such as {min(both)}"
    return [f"{told}: a head knows what it was trained on, so the figures are too good"]


def train(
    items: Sequence[Item], folder: Path, judge: JudgeSpec, read: ReadItem, options: PipelineOptions, watch: Watch
) -> tuple[JudgeSpec, dict[str, Any], list[Failed]]:
    """Train a head, store it as head.npz, and return it as a judge, with what it was trained on and what failed.

    Args:
        items: the clips, of one label each.
        folder: of the report.
        judge: whose weights of YAMNet are taken.
        read: reads clips; it is pickled.
        options: Beam's.
        watch: shows how far it is.

    Raises:
        ReportError: no clip can be used.
        JudgeError: the labels do not make a head.
    """
    with parts_folder(folder) as parts:
        with watch(parts, len(items), "training clips heard"):
            pipeline.embed(items, judge.weights, read, parts, options)
        heard = pipeline.read_parts(parts, pipeline.EMBEDDINGS, ("id",))
        failures = read_failures(parts)
    if heard.empty:
        raise ReportError(f"none of the {len(items)} training clips could be used; the first: {failures[0].error}")
    embeddings = np.stack(list(heard["embedding"])).astype(np.float64)
    head = fit_head(embeddings, list(heard["label"]))
    path = folder / "head.npz"
    save_head(head, path)
    forget_judges()
    forget_routes()
    right = head.logits(embeddings).argmax(axis=1) == [head.names.index(label) for label in heard["label"]]
    about = {"clips": len(heard), "classes": len(head.names), "training_accuracy": number(float(right.mean()))}
    return JudgeSpec(str(path), weights=judge.weights), about, failures
