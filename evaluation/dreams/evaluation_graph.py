r"""The evaluation as a Beam pipeline: shards -> references -> clips -> rows.

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
from typing import Any

import apache_beam as beam
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.metrics.metric import Metrics
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import TaggedOutput

from evaluation.dreams.dream_evaluator import Embeddings, EvaluationPlan, EvaluationWorker, Failed, Row
from evaluation.dreams.dream_rows import schema
from evaluation.dreams.originals import ReadSource
from evaluation.metrics.frechet import Sums
from pipelines.dataset.record_reader import Reference, walk
from pipelines.progress import Counts

FAILED = "failed"
"""The output of failures."""

_EMBEDDINGS = "embeddings"
_PART_ROWS = 1000


def run_pipeline(plan: EvaluationPlan, read_source: ReadSource, parts: str, options: PipelineOptions) -> None:
    """Evaluate a dataset into part files.

    Args:
        plan: of the evaluation.
        read_source: reads originals that the dataset does not hold; it is pickled.
        parts: folder for the parts; all workers see it.
        options: Beam's.
    """
    pipeline = beam.Pipeline(options=options)
    build(pipeline, plan, read_source, parts)
    pipeline.run().wait_until_finish()


def build(pipeline: beam.Pipeline, plan: EvaluationPlan, read_source: ReadSource, parts: str) -> None:
    """Add the evaluation to a pipeline; see `run_pipeline`."""
    found = (
        pipeline
        | "Shards" >> beam.Create(list(plan.dataset.shards))
        | "SpreadShards" >> beam.Reshuffle()
        | "Walk" >> beam.FlatMap(walk)
        | "OfClip" >> beam.Map(_by_clip)
        | "ByClip" >> beam.GroupByKey()
        | "Evaluate" >> beam.ParDo(EvaluateFn(plan, read_source, parts)).with_outputs(FAILED, _EMBEDDINGS, main="rows")
    )
    write_parts(found, parts, schema())
    _ = found[_EMBEDDINGS] | "Sums" >> beam.CombinePerKey(SumsFn()) | "WriteSums" >> beam.Map(_write_sums, parts)


def write_parts(found: Any, parts: str, columns: pa.Schema) -> None:
    """Write the outputs ``rows`` and `FAILED` of a step to part files."""
    _ = found.rows | "WriteRows" >> beam.ParDo(WriteRowsFn(parts, columns))
    _ = found[FAILED] | "OneFile" >> beam.GroupBy(_one_group) | "WriteFailures" >> beam.Map(_write_failures, parts)


class EvaluateFn(beam.DoFn):
    """Evaluates one clip's records."""

    def __init__(self, plan: EvaluationPlan, read_source: ReadSource, parts: str):
        self._plan, self._read_source, self._parts = plan, read_source, parts

    def setup(self) -> None:
        """Load the judge, once a process."""
        self._worker = EvaluationWorker(self._plan, self._read_source)
        self._counts = Counts(self._parts)

    def process(self, element: tuple[str, Iterable[Reference]]) -> Iterator[Any]:
        """Give rows, failures and embeddings."""
        references = list(element[1])
        for found in self._worker.evaluate(references):
            if isinstance(found, Row):
                Metrics.counter("dreambeam", "evaluated").inc()
                yield found.values
            elif isinstance(found, Failed):
                Metrics.counter("dreambeam", f"failed_{found.stage}").inc()
                yield TaggedOutput(FAILED, found)
            elif isinstance(found, Embeddings):
                yield TaggedOutput(_EMBEDDINGS, (json.dumps(found.key), found.patches))
        self._counts.add(records=len(references))


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
