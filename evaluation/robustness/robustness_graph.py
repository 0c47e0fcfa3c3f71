r"""The robustness report as Beam pipelines: batches of references -> rows, and clips -> embeddings for a head.

    batches -> [attack] -> rows -> parts        clips -> [embed] -> mean embeddings -> parts
                     \-> failures -> parts                     \-> failures -> parts

Only references are distributed, in batches that are fixed beforehand; workers write rows to part files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import TaggedOutput

from augment.sound.resampling import to_model
from evaluation.dreams.dream_evaluator import Failed
from evaluation.dreams.evaluation_graph import FAILED, write_parts
from evaluation.dreams.originals import MissingSourceError
from evaluation.judges.judge import JudgeSpec
from evaluation.judges.judge_kinds import shared_judge
from evaluation.robustness.robustness_curves import ROWS
from evaluation.robustness.robustness_plan import Item, RobustnessPlan
from evaluation.robustness.robustness_worker import ReadItem, RobustnessWorker
from pipelines.progress import Counts

EMBEDDINGS = pa.schema([("id", pa.string()), ("label", pa.string()), ("embedding", pa.list_(pa.float32()))])
"""Columns of the parts that `embed` writes."""


def attack(
    plan: RobustnessPlan, batches: Sequence[Sequence[Item]], read: ReadItem, parts: str, options: PipelineOptions
) -> None:
    """Test a classifier on batches of clips; rows and failures go to part files.

    Args:
        plan: of the report.
        batches: clips that share a batch.
        read: reads clips; it is pickled.
        parts: folder for the parts; all workers see it.
        options: Beam's.
    """
    _run(batches, AttackFn(plan, read, parts), ROWS, parts, options)


def embed(items: Sequence[Item], weights: str | None, read: ReadItem, parts: str, options: PipelineOptions) -> None:
    """Embed clips with YAMNet's TF-Hub graph; their mean embeddings go to part files."""
    _run(items, EmbedFn(JudgeSpec(weights=weights), read, parts), EMBEDDINGS, parts, options)


def _run(elements: Sequence[Any], fn: beam.DoFn, schema: pa.Schema, parts: str, options: PipelineOptions) -> None:
    pipeline = beam.Pipeline(options=options)
    found = (
        pipeline
        | "References" >> beam.Create(list(elements))
        | "Spread" >> beam.Reshuffle()
        | "Classify" >> beam.ParDo(fn).with_outputs(FAILED, main="rows")
    )
    write_parts(found, parts, schema)
    pipeline.run().wait_until_finish()


class AttackFn(beam.DoFn):
    """Tests a classifier on one batch."""

    def __init__(self, plan: RobustnessPlan, read: ReadItem, parts: str):
        self._plan, self._read, self._parts = plan, read, parts

    def setup(self) -> None:
        """Load the classifier, once a process."""
        self._worker = RobustnessWorker(self._plan, self._read)
        self._counts = Counts(self._parts)

    def process(self, element: Sequence[Item]) -> Iterator[Any]:
        """Give rows and failures."""
        left = len(element) * self._plan.sounds_per_clip
        for found in self._worker.run(element):
            yield TaggedOutput(FAILED, found) if isinstance(found, Failed) else found.values
            self._counts.add(records=1)
            left -= 1
        self._counts.add(records=left)  # of clips that failed, and dreams without an aim


class EmbedFn(beam.DoFn):
    """Computes a clip's mean embedding."""

    def __init__(self, spec: JudgeSpec, read: ReadItem, parts: str):
        self._spec, self._read, self._parts = spec, read, parts

    def setup(self) -> None:
        """Load YAMNet, once a process."""
        self._judge = shared_judge(self._spec)
        self._counts = Counts(self._parts)

    def process(self, element: Item) -> Iterator[Any]:
        """Give the embedding or a failure."""
        self._counts.add(records=1)
        try:
            waveform, rate = self._read(element.where)
        except MissingSourceError as error:
            yield TaggedOutput(FAILED, Failed(element.id, "train", str(error)))
            return
        patches = self._judge.judge(to_model(waveform, rate, self._judge.sample_rate)).embeddings
        assert patches is not None
        mean = patches.mean(axis=0, dtype=np.float64).astype(np.float32)
        yield {"id": element.id, "label": element.labels[0], "embedding": mean.tolist()}
