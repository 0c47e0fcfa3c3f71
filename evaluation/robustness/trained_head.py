"""A classifier for the report: a linear head on YAMNet's embeddings, trained on some of the clips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions

from augment.counted import counted
from augment.models.heads import save_head
from augment.sound.resampling import to_model
from evaluation.dreams.dream_evaluator import Failed
from evaluation.dreams.dream_metrics import number
from evaluation.dreams.evaluation_graph import read_failures, read_rows, run_workers
from evaluation.dreams.originals import MissingSourceError
from evaluation.dreams.report_folder import ReportError, parts_folder
from evaluation.judges.head_judge import fit_head
from evaluation.judges.judge import JudgeSpec
from evaluation.judges.judge_kinds import forget_judges
from evaluation.judges.yamnet_graph import shared_yamnet
from evaluation.robustness.attacks import forget_attack_models
from evaluation.robustness.robustness_plan import Item
from evaluation.robustness.robustness_worker import ReadItem
from pipelines.progress import Watch

EMBEDDINGS = pa.schema([("id", pa.string()), ("label", pa.string()), ("embedding", pa.list_(pa.float32()))])
"""Columns of the rows of `EmbeddingWorker`."""


@dataclass
class EmbeddingWorker:
    """Computes the mean embeddings of clips with YAMNet's TF-Hub graph."""

    weights: str | None
    read: ReadItem

    def size(self, element: Item) -> int:
        """Return 1, for the clip."""
        del element
        return 1

    def run(self, element: Item) -> Iterator[dict[str, Any] | Failed]:
        """Give the embedding of a clip, or its failure."""
        try:
            waveform, rate = self.read(element.where)
        except MissingSourceError as error:
            yield Failed(element.id, "train", str(error))
            return
        patches = shared_yamnet(self.weights).embed(to_model(waveform, rate))
        mean = patches.mean(axis=0, dtype=np.float64).astype(np.float32)
        yield {"id": element.id, "label": element.labels[0], "embedding": mean.tolist()}


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
    """Train a head on clips of one label each, and store it as head.npz.

    Returns:
        The head as a judge, a summary of its training, and the failures.

    Raises:
        ReportError: no clip can be used.
        JudgeError: there are fewer than two labels.
    """
    with parts_folder(folder) as parts:
        with watch(parts, len(items), "training clips embedded"):
            run_workers(items, EmbeddingWorker, (judge.weights, read), parts, EMBEDDINGS, options)
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
