"""Scratch: records are read back from where a worker put them."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

from pipelines.dataset.records import Record
from pipelines.dataset.scratch import RecordRef, SpillWriter, read_records


def spill(folder: Path, *records: Record) -> list[RecordRef]:
    writer = SpillWriter(str(folder))
    refs = [writer.append(record) for record in records]
    writer.close()
    return refs


RECORDS = [
    Record("a:original", "train", b"\0\1\2", {"id": "a:original", "snr_db": math.inf}),
    Record("é/ü:x:0", "test", b"", {"id": "é/ü:x:0", "label": None}),
    Record("b:x:0", "train", b"\n" * 1000, {"id": "b:x:0", "score": 0.1}),
]


def test_records_come_back_in_the_order_of_the_references(tmp_path: Path) -> None:
    refs = [*spill(tmp_path, *RECORDS[:2]), *spill(tmp_path, RECORDS[2])]
    assert len(list(tmp_path.iterdir())) == 2
    for order in ([0, 1, 2], [2, 0, 1], [1, 1, 0]):
        expected = [(RECORDS[i].example, dict(RECORDS[i].row)) for i in order]
        assert list(read_records([refs[i] for i in order])) == expected


def test_a_reference_tells_split_size_and_the_hash_of_the_id(tmp_path: Path) -> None:
    ref = spill(tmp_path, *RECORDS)[1]
    assert ref.split == "test"
    assert ref.example_bytes == 0
    assert ref.key == hashlib.sha256("é/ü:x:0".encode()).hexdigest()
