r"""The robustness report as Beam pipelines: batches of references -> rows, and clips -> embeddings for a head.

    batches -> [try] -> rows -> parts           clips -> [embed] -> mean embeddings -> parts
                  \-> failures -> parts                     \-> failures -> parts

Only references are given out, in batches that are settled beforehand; rows go to files where they are made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import TaggedOutput

from augment.sound.resampling import to_model
from evaluation.dreams.dream_evaluator import Failed
from evaluation.dreams.evaluation_graph import WriteRowsFn, write_failures
from evaluation.dreams.originals import MissingSourceError
from evaluation.judges.judge import JudgeSpec
from evaluation.judges.judge_kinds import shared_judge
from evaluation.robustness.attacks import Item, Trial
from evaluation.robustness.robustness_curves import ROWS
from evaluation.robustness.robustness_worker import ReadItem, RobustnessWorker
from pipelines.progress import Counts

_FAILED = "failed"

EMBEDDINGS = pa.schema([("id", pa.string()), ("label", pa.string()), ("embedding", pa.list_(pa.float32()))])
"""Columns of the parts that `embed` writes."""


def try_batches(
    trial: Trial, batches: Sequence[Sequence[Item]], read: ReadItem, parts: str, options: PipelineOptions
) -> None:
    """Try a classifier on batches of clips; rows and failures go to part files.

    Args:
        trial: what is tried.
        batches: clips that are tried together.
        read: reads clips; it is pickled.
        parts: folder for the parts; all workers see it.
        options: Beam's.
    """
    _run(batches, TryFn(trial, read, parts), ROWS, parts, options)


def embed(items: Sequence[Item], weights: str | None, read: ReadItem, parts: str, options: PipelineOptions) -> None:
    """Hear clips with YAMNet's TF-Hub graph; their mean embeddings go to part files."""
    _run(items, EmbedFn(JudgeSpec(weights=weights), read, parts), EMBEDDINGS, parts, options)


def _run(elements: Sequence[Any], fn: beam.DoFn, schema: pa.Schema, parts: str, options: PipelineOptions) -> None:
    pipeline = beam.Pipeline(options=options)
    found = (
        pipeline
        | "References" >> beam.Create(list(elements))
        | "Spread" >> beam.Reshuffle()
        | "Hear" >> beam.ParDo(fn).with_outputs(_FAILED, main="rows")
    )
    _ = found.rows | "WriteRows" >> beam.ParDo(WriteRowsFn(parts, schema))
    _ = (
        found[_FAILED]
        | "OneFile" >> beam.GroupBy(lambda _: 0)
        | "WriteFailures" >> beam.MapTuple(lambda _, failures: write_failures(parts, failures))
    )
    pipeline.run().wait_until_finish()


class TryFn(beam.DoFn):
    """Tries a classifier on one batch."""

    def __init__(self, trial: Trial, read: ReadItem, parts: str):
        self._trial, self._read, self._parts = trial, read, parts

    def setup(self) -> None:
        """Load the classifier, once a process."""
        self._worker = RobustnessWorker(self._trial, self._read)
        self._counts = Counts(self._parts)

    def process(self, element: Sequence[Item]) -> Iterator[Any]:
        """Give rows and failures."""
        left = len(element) * self._trial.sounds_per_clip
        for found in self._worker.run(element):
            yield TaggedOutput(_FAILED, found) if isinstance(found, Failed) else found.values
            self._counts.add(records=1)
            left -= 1
        self._counts.add(records=left)  # of clips that failed, and dreams that have no aim


class EmbedFn(beam.DoFn):
    """Gives a clip's mean embedding."""

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
            yield TaggedOutput(_FAILED, Failed(element.id, "train", str(error)))
            return
        patches = self._judge.judge(to_model(waveform, rate, self._judge.sample_rate)).embeddings
        assert patches is not None
        mean = patches.mean(axis=0, dtype=np.float64).astype(np.float32)
        yield {"id": element.id, "label": element.labels[0], "embedding": mean.tolist()}


def read_parts(parts: str, schema: pa.Schema, keys: Sequence[str]) -> pd.DataFrame:
    """Return all rows sorted by some columns; one that a retried worker gave twice comes once."""
    tables = [pq.read_table(path) for path in sorted(Path(parts).glob("*.parquet"))]
    table = pa.concat_tables(tables) if tables else schema.empty_table()
    frame = table.to_pandas().drop_duplicates(list(keys))
    return frame.sort_values(list(keys), kind="stable", ignore_index=True)
