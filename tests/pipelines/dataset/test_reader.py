"""Datasets read without Beam: against what TFDS gives of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from published import copy, edit_json
from recordings import load

from pipelines.dataset import reader as datasets
from pipelines.dataset.reader import DamagedError, DatasetError, find, open_dataset, rows
from pipelines.dataset.record_reader import read_example, read_record


def test_every_record_found_by_its_id_is_what_tfds_gives(published: Path):
    opened = open_dataset(published / "out")
    examples = load(published / "out")
    assert [split.name for split in opened.splits] == ["train"]
    assert sum(opened.splits[0].lengths) == len(examples)
    for id_, expected in examples.items():
        found = read_example(opened, read_record(opened, find(opened, id_)))
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            np.testing.assert_array_equal(found[key], value, key)


def test_rows_come_in_the_order_of_the_records_a_few_at_a_time(published: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(datasets, "_ROWS", 2)
    opened = open_dataset(published / "out")
    table = pq.read_table(published / "out/provenance.parquet").to_pylist()
    assert list(rows(opened)) == table
    places = [(row["shard"], row["position"]) for row in table]
    assert places == sorted(places)
    lengths = opened.splits[0].lengths
    assert places == [(shard, position) for shard, length in enumerate(lengths) for position in range(length)]
    with pytest.raises(DatasetError, match=r"did you mean 'dog/a\.wav:cut:0'"):  # nearest, of all the batches
        find(opened, "dog/a.wav:cat:0")


def test_a_column_or_a_table_that_is_missing_is_said(published: Path, tmp_path: Path):
    opened = open_dataset(copy(published / "out", tmp_path / "x"))
    with pytest.raises(DamagedError, match=r"provenance\.parquet has no column 'colour'"):
        next(rows(opened, ["colour"]))
    (tmp_path / "x/provenance.parquet").unlink()
    with pytest.raises(DamagedError, match=r"provenance\.parquet cannot be read"):
        next(rows(opened))


VALUES: tuple[Any, ...] = (None, 3, "x", [], {}, [1], {"a": 1})


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the way to each part of a JSON value that is not too deep."""
    if path:
        yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts if len(path) < 4 else ():
        yield from _places(part, (*path, key))


@pytest.mark.parametrize("name", ["run.json", "dataset_info.json"])
def test_whatever_the_metadata_holds_the_error_is_one_line(published: Path, tmp_path: Path, name: str):
    import json

    from pipelines.verify.verify import verify

    damaged = copy(published / "out", tmp_path / "x")
    for shard in damaged.glob("*.tfrecord-*"):
        shard.write_bytes(b"")
    kept = (damaged / name).read_text(encoding="utf-8")
    for number, place in enumerate(_places(json.loads(kept))):

        def put(content: Any, place: tuple[Any, ...] = place, number: int = number) -> None:
            for key in place[:-1]:
                content = content[key]
            content[place[-1]] = VALUES[number % len(VALUES)]

        edit_json(damaged / name, put)
        try:
            lines = list(map(str, verify(damaged, sources=False).problems))
        except DatasetError as error:
            lines = [str(error)]
        assert lines
        assert all(line.isprintable() for line in lines), place
        (damaged / name).write_text(kept, encoding="utf-8")
