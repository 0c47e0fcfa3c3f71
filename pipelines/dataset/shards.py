"""Shards: the files of the dataset, each written by one worker from references to records.

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

from pipelines.dataset.records import DISTANCES, Lost
from pipelines.dataset.scratch import RecordRef, read_records
from pipelines.files.tfrecord import OVERHEAD_BYTES, frame

SHARD_BYTES = 256 << 20

_TABLE_ROWS = 500

PROVENANCE_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("source_id", pa.string()),
        ("split", pa.string()),
        ("label", pa.string()),
        ("recipe", pa.string()),
        ("transform", pa.string()),
        ("variant", pa.int64()),
        ("target_index", pa.int64()),
        ("target_mid", pa.string()),
        ("target_name", pa.string()),
        ("score_target_before", pa.float32()),
        ("score_target_after", pa.float32()),
        ("top_before", pa.string()),
        ("top_after", pa.string()),
        *((name, pa.float32()) for name in DISTANCES),
        ("steps_taken", pa.int64()),
        ("reached", pa.bool_()),
        ("sample_rate", pa.int64()),
        ("channels", pa.int64()),
        ("samples", pa.int64()),
        ("source_uri", pa.string()),
        ("source_sha256", pa.string()),
        ("output_sha256", pa.string()),
        ("audio_encoding", pa.string()),
        ("stored_sha256", pa.string()),
        ("provenance", pa.string()),
        ("shard", pa.int64()),
        ("position", pa.int64()),
    ]
)
"""Columns of provenance.parquet; ``shard`` and ``position`` say where in the split's files the record stands."""


def provenance_schema(group_features: Iterable[str] = ()) -> pa.Schema:
    """Return the columns of a run whose clips carry groups: one of text for each at the end."""
    return pa.schema([*PROVENANCE_SCHEMA, *((name, pa.string()) for name in group_features)])


def shard_count(size: int) -> int:
    """Return the number of shards for so many bytes of records."""
    return max(1, -(-size // SHARD_BYTES))


def write_shard(
    folder: str, key: tuple[str, int, int], refs: Iterable[RecordRef], group_features: Iterable[str] = ()
) -> dict[str, Any]:
    """Write one shard and its rows of provenance.parquet, under names of their own.

    Args:
        folder: where to.
        key: split, number of the shard, number of shards of the split.
        refs: of the shard's records, in any order; one that a retried worker gave twice is written once.
        group_features: columns that hold groups.

    Returns:
        Where the files are, the number of examples, their bytes and sha256, and how often each recipe dreamed and
        reached, also of what was reused.
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


def failure_line(lost: Lost) -> str:
    """Return a failure as its line of failures.jsonl, which takes less memory; lines sort by id, stage and error."""
    failure = lost.failure
    values = {"id": failure.id, "stage": failure.stage, "error": failure.error, "uri": failure.uri}
    return json.dumps({**values, "records_lost": lost.records}, ensure_ascii=False)


def write_failures(folder: str, lines: Iterable[str]) -> dict[str, Any]:
    """Write the lines of failures in order, each once, and count them by stage."""
    from apache_beam.io.filesystems import FileSystems

    path = f"{folder}/{uuid.uuid4().hex}.jsonl"
    stages: Counter[str] = Counter()
    records = 0
    with FileSystems.create(path, compression_type="uncompressed") as out:
        for line in sorted(set(lines)):
            told = json.loads(line)
            stages[told["stage"]] += 1
            records += told["records_lost"]
            out.write(f"{line}\n".encode("utf-8", "backslashreplace"))  # a lone surrogate becomes JSON's escape of it
    return {"path": path, "stages": dict(sorted(stages.items())), "records_lost": records}


def merge_tables(paths: Iterable[str], target: str, group_features: Iterable[str] = ()) -> None:
    """Put tables one behind the other, a row group at a time."""
    with pq.ParquetWriter(target, provenance_schema(group_features)) as out:
        for path in paths:
            file = pq.ParquetFile(path)
            for group in range(file.num_row_groups):
                out.write_table(file.read_row_group(group))
