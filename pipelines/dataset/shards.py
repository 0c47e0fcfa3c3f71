"""Writing shards, their rows of provenance.parquet and failures.jsonl, from references to records.

A shard holds the records whose id hashes to it, in the order of the hashes: the order is a shuffle that depends on the
ids alone, so the bytes are the same whatever worker made which record.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.clips.references import Failure
from pipelines.dataset.schema import provenance_schema
from pipelines.dataset.scratch import RecordRef, read_records
from pipelines.files.tfrecord import OVERHEAD_BYTES, frame

SHARD_BYTES = 256 << 20

_TABLE_ROWS = 500


def shard_count(size: int) -> int:
    """Return the number of shards that records of this size in bytes take."""
    return max(1, -(-size // SHARD_BYTES))


def write_shard(
    folder: str, key: tuple[str, int, int], refs: Iterable[RecordRef], group_features: Iterable[str] = ()
) -> dict[str, Any]:
    """Write one shard and its rows of provenance.parquet, under unique names.

    Args:
        folder: for the files.
        key: split, number of the shard, number of shards of the split.
        refs: of the shard's records, in any order; one that a retried worker gave twice is written once.
        group_features: columns that hold groups.

    Returns:
        Paths of the files, the number of examples, their bytes and sha256, and how many dreams each recipe has, how
        many of them reached the target, and how many were reused.
    """
    from apache_beam.io.filesystems import FileSystems

    split, index, count = key
    name = uuid.uuid4().hex
    path, table_path = f"{folder}/{name}.tfrecord", f"{folder}/{name}.parquet"
    ordered = list({ref.key: ref for ref in refs}.values())
    ordered.sort(key=lambda ref: ref.key)
    schema = provenance_schema(group_features)
    tally: Counter[str] = Counter()
    digest = hashlib.sha256()
    rows: list[dict[str, Any]] = []
    with (
        FileSystems.create(path, compression_type="uncompressed") as out,
        FileSystems.create(table_path, compression_type="uncompressed") as table_out,
        pq.ParquetWriter(table_out, schema) as table,
    ):
        for position, (ref, (example, row)) in enumerate(zip(ordered, read_records(ordered), strict=True)):
            framed = frame(example)
            out.write(framed)
            digest.update(framed)
            tally[f"{row['recipe']}/dreams"] += 1
            tally[f"{row['recipe']}/reached"] += row["reached"]
            if ref.reused:
                tally[f"{row['recipe']}/reused"] += 1
                tally[f"{row['recipe']}/reused_reached"] += row["reached"]
            rows.append({**row, "shard": index, "position": position})
            if len(rows) >= _TABLE_ROWS:
                table.write_table(pa.Table.from_pylist(rows, schema))
                rows = []
        table.write_table(pa.Table.from_pylist(rows, schema))
    size = sum(ref.example_bytes + OVERHEAD_BYTES for ref in ordered)
    return {
        "split": split,
        "index": index,
        "count": count,
        "path": path,
        "table": table_path,
        "examples": len(ordered),
        "bytes": size,
        "reused": sum(ref.reused for ref in ordered),
        "sha256": digest.hexdigest(),
        "tally": dict(tally),
    }


def failure_line(failure: Failure) -> str:
    """Return a failure as its line of failures.jsonl, which takes less memory; lines sort by id, stage and error."""
    keys = ("id", "stage", "error", "uri", "records_lost")
    return json.dumps({key: getattr(failure, key) for key in keys}, ensure_ascii=False)


def write_failures(folder: str, lines: Iterable[str]) -> dict[str, Any]:
    """Write the lines of failures in order, each once, and count them by stage."""
    from apache_beam.io.filesystems import FileSystems

    path = f"{folder}/{uuid.uuid4().hex}.jsonl"
    stages: Counter[str] = Counter()
    records = 0
    with FileSystems.create(path, compression_type="uncompressed") as out:
        for line in sorted(set(lines)):
            failure = json.loads(line)
            stages[failure["stage"]] += 1
            records += failure["records_lost"]
            out.write(f"{line}\n".encode("utf-8", "backslashreplace"))  # a lone surrogate becomes JSON's escape of it
    return {"path": path, "stages": dict(sorted(stages.items())), "records_lost": records}


def merge_tables(paths: Iterable[str], target: str, group_features: Iterable[str] = ()) -> None:
    """Concatenate tables, a row group at a time."""
    with pq.ParquetWriter(target, provenance_schema(group_features)) as out:
        for path in paths:
            file = pq.ParquetFile(path)
            for group in range(file.num_row_groups):
                out.write_table(file.read_row_group(group))
