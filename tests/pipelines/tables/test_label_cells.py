"""Label cells: a list in a cell is several labels, whoever wrote it, and nothing is evaluated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.clips.references import Failure, SoundFileRef, tidy
from pipelines.config.run_config import SourceConfig
from pipelines.sources.inputs import list_inputs
from pipelines.tables.label_cells import labels_in


def labels(cell: Any, separator: str | None = None, *, several: bool = False) -> tuple[str, ...] | None:
    return labels_in(cell, separator=separator, several=several)


def test_lists_as_pandas_writes_them_are_labels(shared: Path) -> None:
    folder = shared / "cases/list_literals"
    expected = [("dog", "bark"), ("dog",), ("rain", "water"), ()]
    listed = list(list_inputs([str(folder / "meta.csv")], SourceConfig(root=str(folder))).items)
    assert [item.labels for item in listed if isinstance(item, SoundFileRef)] == expected
    metadata = str(folder / "meta.csv")
    *files, last = list_inputs([str(folder / "audio")], SourceConfig(metadata=metadata)).items
    assert [item.labels for item in files if isinstance(item, SoundFileRef)] == expected[:3]
    assert isinstance(last, Failure)
    assert "no label on line 5" in last.error


WORDS = st.lists(st.text(st.characters(blacklist_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=8), max_size=4)


@given(WORDS)
def test_what_python_and_json_write_of_a_list_is_the_list(words: list[str]) -> None:
    expected = tidy(words)
    for written in (repr(words), json.dumps(words), f"array({words!r}, dtype=object)", "\n".join(repr(words).split())):
        assert labels(written) == expected
        assert labels(written, ",") == expected
        assert labels(written, several=True) == expected
    if words:
        assert labels(repr(tuple(words))) == expected
        assert set(labels(repr(set(words))) or ()) == set(expected)


@pytest.mark.parametrize("words", [["a", "b"], ["a bird", "it's"], ["a"] * 3, ["x" * 50, "y" * 50]])
def test_what_numpy_writes_of_an_array_is_its_items(words: list[str]) -> None:
    assert labels(str(np.array(words))) == tidy(words)
    assert labels(repr(np.array(words))) == tidy(words)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("[]", ()),
        ("[ ]", ()),
        ("[nan]", ()),
        ("['a', None]", ("a",)),
        ("[1, 2]", ("1", "2")),
        ("[1 2]", ("1", "2")),
        ("[1. 2.]", ("1", "2")),
        (r"['caf\xe9', '\u6c34', 'a\'b']", ("caf\u00e9", "\u6c34", "a'b")),
        ('"[""a"", ""b""]"', ("a", "b")),
        ("('a',)", ("a",)),
        ("[noise]", ("[noise]",)),
        ("[sic", ("[sic",)),
        ("(3)", ("(3)",)),
        ("{x}", ("{x}",)),
        ("dog, big", ("dog, big",)),
        ("['__import__(\"os\")']", ('__import__("os")',)),
        ("['a', __import__('os')]", None),
        ("['a'", None),
        ("[['a'], ['b']]", None),
        ('[{"a": 1}]', None),
        ("['" + "\\" * 9999, None),
        ("[" * 99_999, None),
    ],
)
def test_a_cell_is_a_list_of_labels_or_one_label_or_none(cell: str, expected: tuple[str, ...] | None) -> None:
    assert labels(cell) == expected


def test_items_need_no_quotes_where_the_column_holds_several() -> None:
    assert labels("[dog, big cat]", several=True) == ("dog", "big cat")
    assert labels("dog; cat", several=True) == ("dog", "cat")


def test_a_list_is_read_in_every_kind_of_table(tmp_path: Path) -> None:
    rows = [{"path": "a.wav", "label": "['a', 'b']"}, {"path": "b.wav", "label": "['a'"}]
    pd.DataFrame(rows).to_csv(tmp_path / "x.csv")
    pd.DataFrame(rows).to_csv(tmp_path / "x.tsv", sep="\t", index=False)
    pd.DataFrame(rows).to_parquet(tmp_path / "x.parquet")
    pd.DataFrame(rows).to_json(tmp_path / "x.jsonl", orient="records", lines=True)
    for path in sorted(tmp_path.iterdir()):
        item, failure = list_inputs([str(path)], SourceConfig()).items
        assert isinstance(item, SoundFileRef)
        assert item.labels == ("a", "b")
        assert isinstance(failure, Failure)
        assert "has no labels, but" in failure.error
