"""Shards: order, duplicates, and what is counted."""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines.clips.references import Failure
from pipelines.dataset.records import Record
from pipelines.dataset.schema import provenance_schema
from pipelines.dataset.scratch import RecordRef, SpillWriter
from pipelines.dataset.shards import (
    SHARD_BYTES,
    failure_line,
    merge_tables,
    shard_count,
    write_failures,
)
from pipelines.dataset.shards import write_shard as write
from pipelines.files.tfrecord import frame

IDS = [f"clip {number}:deep_dream:0" for number in range(7)]


def spill(folder: Path, *ids: str) -> list[RecordRef]:
    writer = SpillWriter(str(folder))
    empty: dict[str, Any] = dict.fromkeys(provenance_schema().names)
    refs = [
        writer.append(Record(id_, "train", id_.encode(), {**empty, "id": id_, "recipe": "deep_dream", "reached": True}))
        for id_ in ids
    ]
    writer.close()
    return refs


def in_order(ids: list[str]) -> list[str]:
    return sorted(ids, key=lambda id_: hashlib.sha256(id_.encode()).hexdigest())


def test_records_stand_in_the_order_of_the_sha256_of_their_ids_whatever_came_first(tmp_path: Path) -> None:
    refs = spill(tmp_path, *IDS)
    expected = b"".join(frame(id_.encode()) for id_ in in_order(IDS))
    for given in itertools.islice(itertools.permutations(refs), 0, 5040, 1000):
        written = write(str(tmp_path), ("train", 0, 1), given)
        assert Path(written["path"]).read_bytes() == expected
        table = pd.read_parquet(written["table"])
        assert list(table["id"]) == in_order(IDS)
        assert list(table["position"]) == list(range(7))


def test_a_record_that_a_retried_worker_gave_twice_is_written_once(tmp_path: Path) -> None:
    refs = [*spill(tmp_path, *IDS), *spill(tmp_path, *IDS[2:4])]
    written = write(str(tmp_path), ("train", 3, 4), refs)
    assert written["examples"] == 7
    assert written["tally"] == {"deep_dream/dreams": 7, "deep_dream/reached": 7}
    assert written["bytes"] == Path(written["path"]).stat().st_size
    table = pd.read_parquet(written["table"])
    assert len(table) == 7
    assert set(table["shard"]) == {3}


def test_what_an_earlier_run_has_made_is_counted_apart(tmp_path: Path) -> None:
    refs = spill(tmp_path, *IDS)
    written = write(
        str(tmp_path), ("train", 0, 1), [replace(ref, reused=number < 3) for number, ref in enumerate(refs)]
    )
    assert written["reused"] == 3
    assert written["tally"] == {
        "deep_dream/dreams": 7,
        "deep_dream/reached": 7,
        "deep_dream/reused": 3,
        "deep_dream/reused_reached": 3,
    }


def test_long_tables_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.dataset.shards._TABLE_ROWS", 3)
    written = [write(str(tmp_path), ("train", i, 2), spill(tmp_path, *ids)) for i, ids in enumerate((IDS[:4], IDS[4:]))]
    target = str(tmp_path / "merged.parquet")
    merge_tables([shard["table"] for shard in written], target)
    table = pd.read_parquet(target)
    assert list(table["id"]) == in_order(IDS[:4]) + in_order(IDS[4:])
    assert list(table["position"]) == [0, 1, 2, 3, 0, 1, 2]
    assert list(table.columns) == provenance_schema().names


def test_merging_no_tables_gives_an_empty_one(tmp_path: Path) -> None:
    merge_tables([], str(tmp_path / "none.parquet"))
    assert pd.read_parquet(tmp_path / "none.parquet").empty


def test_a_shard_is_added_for_each_256_mib_begun() -> None:
    sizes = (0, 1, SHARD_BYTES, SHARD_BYTES + 1, 10 * SHARD_BYTES)
    assert [shard_count(size) for size in sizes] == [1, 1, 1, 2, 10]


def test_failures_are_sorted_and_counted_and_each_is_written_once(tmp_path: Path) -> None:
    found = [
        Failure("/b.wav", "b", "decode", "broken", 4),
        Failure("/ä.wav", "ä", "read", "two\nlines"),
        Failure("/a.wav", "a", "decode", "broken"),
        Failure("/b.wav", "b", "decode", "broken", 4),
    ]
    written = write_failures(str(tmp_path), map(failure_line, found))
    assert written["stages"] == {"decode": 2, "read": 1}
    assert written["records_lost"] == 4
    lines = [json.loads(line) for line in Path(written["path"]).read_text("utf-8").splitlines()]
    assert [line["id"] for line in lines] == ["a", "b", "ä"]
    assert set(lines[0]) == {"uri", "id", "stage", "error", "records_lost"}
