"""One-hot labels: columns of 0 and 1 are classes where there is no column of labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from listings import references, table, tree

from pipelines.clips.references import Failure
from pipelines.config.run_config import SourceConfig
from pipelines.sources.inputs import list_inputs

ROWS = [
    {"file": "a.wav", "dog": 1, "cat": 0, "wind": 1},
    {"file": "b.wav", "dog": 0, "cat": 1, "wind": 0},
    {"file": "c.wav", "dog": 0, "cat": 0, "wind": 0},
]


def labels(manifest: Path | str, **source: Any) -> list[tuple[str, ...] | str]:
    found = list_inputs([str(manifest)], SourceConfig(**source)).items
    return [item.error if isinstance(item, Failure) else getattr(item, "labels", ()) for item in found]


@pytest.mark.parametrize("kind", [int, float, bool])
@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.jsonl", "x.parquet"])
def test_columns_of_0_and_1_are_classes_in_every_kind_of_table(tmp_path: Path, name: str, kind: type) -> None:
    frame = pd.DataFrame(ROWS).astype(dict.fromkeys(("dog", "cat", "wind"), kind))
    path = tmp_path / name
    if name == "x.parquet":
        frame.to_parquet(path)
    elif name == "x.jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, sep="\t" if name == "x.tsv" else ",")  # with a column of row numbers
    assert labels(path) == [("dog", "wind"), ("cat",), ()]


def test_a_table_of_classes_labels_files_as_metadata(tmp_path: Path) -> None:
    metadata = table(tmp_path / "x.csv", ("id", "dog", "cat"), ("a", "1", "0"), ("b", "0", "1"))
    files = references(tree(tmp_path / "in", "a.wav", "b.wav"), metadata=metadata)
    assert [file.labels for file in files] == [("dog",), ("cat",)]


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        (("path", "label", "dog", "cat"), (("x/a.wav", "", "1", "0"),)),  # there is a column of labels
        (("path", "dog"), (("x/a.wav", "1"),)),  # one column may be a remark
        (("path", "dog", "cat"), (("x/a.wav", "0.3", "0.7"),)),
        (("path", "up_votes", "down_votes", "fold", "speaker_id"), (("x/a.wav", "1", "0", "1", "0"),)),
        (("path", "dog", "cat"), (("x/a.wav", "0", "0"),)),  # no row is of a class
    ],
)
def test_other_columns_are_none(tmp_path: Path, header: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> None:
    assert labels(table(tmp_path / "x.csv", header, *rows)) == [() if "label" in header else ("x",)]


def test_a_cell_that_is_neither_is_a_failure_of_its_row(tmp_path: Path) -> None:
    rows = [("a.wav", "1", "0")] * 1000 + [("b.wav", "2", "0")]
    *_, last = labels(table(tmp_path / "x.csv", ("path", "dog", "cat"), *rows))
    assert "has '2' in column 'dog'; expected 0 or 1" in last
