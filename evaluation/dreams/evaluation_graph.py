r"""Beam pipelines of reports: of an evaluation, shards -> references -> clips -> rows; of others, elements -> rows.

Only references cross the shuffle that brings a clip's records together. Workers write rows to part files, and sum up
embeddings where they are computed, so that only the sums travel.

    shards -> [walk] -> Reference -> by clip -> [evaluate] -> rows -> parts
                                                   \-> failures -> parts
                                                   \-> embeddings -> [sums] -> parts
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import apache_beam as beam
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.metrics.metric import Metrics
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import TaggedOutput

from evaluation.dreams.dream_evaluator import Embeddings, EvaluationPlan, EvaluationWorker, Failed
from evaluation.dreams.dream_rows import schema
from evaluation.dreams.originals import ReadSource
from evaluation.metrics.frechet import Sums
from pipelines.dataset.record_reader import walk
from pipelines.progress import Counts, wait_for

_FAILED, _EMBEDDINGS = "failed", "embeddings"
_PART_ROWS = 1000


class Worker(Protocol):
    """What works on elements in a worker process; it is built there."""

    def run(self, element: Any) -> Iterator[dict[str, Any] | Failed | Embeddings]:
        """Work on one element."""
        ...

    def size(self, element: Any) -> int:
        """Return the size of an element in the units of the progress, such as records."""
        ...


def run_pipeline(plan: EvaluationPlan, read_source: ReadSource, parts: str, options: PipelineOptions) -> None:
    """Evaluate a dataset into part files in a folder that all workers see; the arguments are pickled."""
    pipeline = beam.Pipeline(options=options)
    build(pipeline, plan, read_source, parts)
    wait_for(pipeline.run())


def build(pipeline: beam.Pipeline, plan: EvaluationPlan, read_source: ReadSource, parts: str) -> None:
    """Add the evaluation to a pipeline; see `run_pipeline`."""
    clips = (
        pipeline
        | "Shards" >> beam.Create(list(plan.dataset.shards))
        | "SpreadShards" >> beam.Reshuffle()
        | "Walk" >> beam.FlatMap(walk)
        | "OfClip" >> beam.Map(_by_clip)
        | "ByClip" >> beam.GroupByKey()
    )
    embeddings = work(clips, EvaluationWorker, (plan, read_source), parts, schema())
    _ = embeddings | "Sums" >> beam.CombinePerKey(SumsFn()) | "WriteSums" >> beam.Map(_write_sums, parts)


def run_workers(
    elements: Sequence[Any],
    worker: type[Worker],
    given: tuple[Any, ...],
    parts: str,
    columns: pa.Schema,
    options: PipelineOptions,
) -> None:
    """Let workers, built from `given`, work on elements; rows and failures go to part files.

    The arguments are pickled, and all workers see the folder of the parts.
    """
    pipeline = beam.Pipeline(options=options)
    references = pipeline | "References" >> beam.Create(list(elements)) | "Spread" >> beam.Reshuffle()
    work(references, worker, given, parts, columns)
    wait_for(pipeline.run())


def work(elements: Any, worker: type[Worker], given: tuple[Any, ...], parts: str, columns: pa.Schema) -> Any:
    """Add the work of `run_workers` to a pipeline.

    Returns:
        The embeddings, as pairs of their key in JSON and float32 [patches, 1024].
    """
    found = elements | "Work" >> beam.ParDo(WorkFn(worker, given, parts)).with_outputs(
        _FAILED, _EMBEDDINGS, main="rows"
    )
    _ = found.rows | "WriteRows" >> beam.ParDo(WriteRowsFn(parts, columns))
    _ = found[_FAILED] | "OneFile" >> beam.GroupBy(_one_group) | "WriteFailures" >> beam.Map(_write_failures, parts)
    return found[_EMBEDDINGS]


class WorkFn(beam.DoFn):
    """Runs a worker on elements, and counts their progress."""

    def __init__(self, worker: type[Worker], given: tuple[Any, ...], parts: str):
        self._type, self._given, self._parts = worker, given, parts

    def setup(self) -> None:
        """Build the worker, once a process."""
        self._worker, self._counts = self._type(*self._given), Counts(self._parts)

    def process(self, element: Any) -> Iterator[Any]:
        """Give rows, failures and embeddings."""
        left = self._worker.size(element)
        for found in self._worker.run(element):
            if isinstance(found, Embeddings):
                yield TaggedOutput(_EMBEDDINGS, (json.dumps(found.key), found.patches))
                continue
            if isinstance(found, Failed):
                Metrics.counter("dreambeam", f"failed_{found.stage}").inc()
                yield TaggedOutput(_FAILED, found)
            else:
                Metrics.counter("dreambeam", "evaluated").inc()
                yield found
            self._counts.add(records=1)
            left -= 1
        self._counts.add(records=left)  # what gave no row: originals, clips that failed, dreams without an aim


class WriteRowsFn(beam.DoFn):
    """Writes the rows of each bundle to part files of up to a thousand rows."""

    def __init__(self, parts: str, columns: pa.Schema):
        self._parts, self._columns = parts, columns

    def start_bundle(self) -> None:
        """Begin with no row."""
        self._rows: list[Mapping[str, Any]] = []

    def process(self, row: Mapping[str, Any]) -> None:
        """Keep a row."""
        self._rows.append(row)
        if len(self._rows) >= _PART_ROWS:
            self.finish_bundle()

    def finish_bundle(self) -> None:
        """Write the kept rows."""
        if self._rows:
            table = pa.Table.from_pylist(self._rows, self._columns)
            pq.write_table(table, f"{self._parts}/{uuid.uuid4().hex}.parquet")
            self._rows = []


class SumsFn(beam.CombineFn):
    """Sums up YAMNet's embeddings."""

    def create_accumulator(self) -> Sums:
        """Return the sums of no embedding."""
        return Sums.of(np.empty((0, 1024)))

    def add_input(self, accumulator: Sums, element: np.ndarray) -> Sums:
        """Add the patches of one sound."""
        return accumulator + Sums.of(element)

    def merge_accumulators(self, accumulators: Iterable[Sums]) -> Sums:
        """Add sums."""
        return sum(accumulators, start=self.create_accumulator())

    def extract_output(self, accumulator: Sums) -> Sums:
        """Return the sums."""
        return accumulator


def read_rows(parts: str, columns: pa.Schema, keys: Sequence[str]) -> pd.DataFrame:
    """Return all rows sorted by some columns, without the duplicates of retried workers."""
    tables = [pq.read_table(path) for path in sorted(Path(parts).glob("*.parquet"))]
    table = pa.concat_tables(tables) if tables else columns.empty_table()
    frame = table.to_pandas().drop_duplicates(list(keys))
    return frame.sort_values(list(keys), kind="stable", ignore_index=True)


def read_failures(parts: str) -> list[Failed]:
    """Return all failures sorted by id."""
    lines = [line for path in Path(parts).glob("*.jsonl") for line in path.read_text(encoding="utf-8").splitlines()]
    return sorted({Failed(**json.loads(line)) for line in lines}, key=lambda each: (each.id, each.stage, each.error))


def read_sums(parts: str) -> dict[Any, Sums]:
    """Return the sums by key: `evaluation.dreams.dream_evaluator.ORIGINALS`, or transform and recipe."""
    found: dict[Any, Sums] = {}
    for path in Path(parts).glob("*.npz"):
        with open(path, "rb") as file, np.load(file) as stored:
            key = json.loads(str(stored["key"]))
            sums = Sums(int(stored["n"]), stored["total"], stored["products"])
            found[key if isinstance(key, str) else tuple(key)] = sums
    return found


# Workers find named functions by their names; a lambda travels with its code and the path of its file.


def _by_clip(reference: Any) -> Any:
    return reference.source_id, reference


def _one_group(_: Any) -> Any:
    return 0


def _write_failures(group: Any, parts: str) -> None:
    with open(f"{parts}/{uuid.uuid4().hex}.jsonl", "w", encoding="utf-8") as out:
        for each in group[1]:
            out.write(json.dumps({"id": each.id, "stage": each.stage, "error": each.error}) + "\n")


def _write_sums(combined: Any, parts: str) -> None:
    key, sums = combined
    with open(f"{parts}/{uuid.uuid4().hex}.npz", "wb") as out:
        np.savez(out, key=np.array(key), n=sums.n, total=sums.total, products=sums.products)
