"""Delimited text: a quote swallows no row, and no cell is dropped without a word."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from listings import table, tree

from pipelines.clips.listing import SourceError
from pipelines.clips.references import Failure, SoundFileRef
from pipelines.config.run_config import SourceConfig
from pipelines.sources.inputs import list_inputs
from pipelines.tables.delimited import parse

COMMON_VOICE = 'id\tpath\tsentence\taccent\n0\ta.wav\t"What? he.\tus\n1\tb.wav\tShe said "yes".\tuk\n2\tc.wav\t"\tus\n'


def items(manifest: Path | str, **source: Any) -> list[Any]:
    return list(list_inputs([str(manifest)], SourceConfig(**source)).items)


def test_common_voice_loses_no_row_to_an_unclosed_quote(shared: Path) -> None:
    found = items(shared / "cases/unquoted_tsv/clips/validated.tsv", label_column="accent")
    assert [item.id[:-4] for item in found] == ["baby0", "baby1", "dog_0", "dog_1", "rain0", "rain1"]
    assert {item.labels for item in found} == {("us",)}


@pytest.mark.parametrize("name", ["x.tsv", "x.tab", "x.csv"])
def test_a_quote_in_a_tsv_is_a_character_like_any_other(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(COMMON_VOICE)
    found = items(tmp_path / name, label_column="sentence")
    assert [item.labels for item in found] == [('"What? he.',), ('She said "yes".',), ('"',)]


def test_a_tsv_with_a_header_in_quotes_is_read_as_r_writes_it(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text('"path"\t"label"\n"a.wav"\t"a ""big"" dog"\n')
    assert items(tmp_path / "x.tsv") == [SoundFileRef("a.wav", str(tmp_path / "a.wav"), ('a "big" dog',))]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('path,label,n\na.wav,"dog,1\nb.wav,cat,2\n', 2),  # to the end of the file
        ('path,label,n\na.wav,x,1\nb.wav,"dog,2\nc.wav,"cat,3\n', 3),  # to the next quote, which opens a cell
        ('path,label,n\na.wav,"dog,1\nb.wav,5",2\n', 2),  # to one that closes a cell: one row with the right cells
        ('path,label,n\na.wav,x,1\nb.wav,"dog,2\n', 3),  # in the last row
    ],
)
def test_rows_that_a_quote_has_swallowed_are_an_error_that_names_the_line(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(SourceError, match=f"line {line}: a quote opens a cell"):
        items(tmp_path / "x.csv")


def test_a_cell_may_hold_line_breaks_delimiters_and_quotes(tmp_path: Path) -> None:
    manifest = table(tmp_path / "x.csv", ("path", "label"), ("a.wav", 'two\nlines, "big"'), ("b.wav", 'five " deep'))
    assert [item.labels for item in items(manifest)] == [('two lines, "big"',), ('five " deep',)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.csv", "path,label\na.wav,Bark, loud\nb.wav,dog,\n"),
        ("x.tsv", 'path\tn\tlabel\na.wav\t"two\nb.wav\t1\tdog\t\n'),
    ],
)
def test_a_row_of_too_many_cells_or_cut_by_a_line_break_is_a_failure_of_its_own(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    failure, item = items(tmp_path / name)
    assert isinstance(failure, Failure)
    assert failure.error.startswith("line 2 of")
    assert "cells, where the header has" in failure.error
    assert (item.id, item.labels) == ("b.wav", ("dog",))


def test_a_broken_row_of_metadata_fails_its_file_alone(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("path,label\na.wav,Bark, loud\nb.wav,dog\n")
    tree(tmp_path, "in/a.wav", "in/b.wav")
    failure, item = items(tmp_path / "in", metadata=str(tmp_path / "x.csv"))
    assert "has 3 cells, where the header has 2" in failure.error
    assert item.labels == ("dog",)


CELLS = st.lists(st.lists(st.text(alphabet='a",\n ', max_size=6).map(str.strip), min_size=3, max_size=3), max_size=5)


@given(CELLS)
def test_what_csv_writes_is_read_back(rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["x", "y", "z"], *rows])
    found = [cells for _, cells in parse(text.getvalue().splitlines(keepends=True), ",", quotes=True)]
    assert found == [["x", "y", "z"], *rows]


@given(CELLS)
def test_a_tsv_has_as_many_rows_as_lines(rows: list[list[str]]) -> None:
    lines = ["\t".join(cell.replace("\n", " ") for cell in row) + "\n" for row in rows]
    found = list(parse(lines, "\t", quotes=False))
    assert [number for number, _ in found] == list(range(1, len(lines) + 1))
    assert ["\t".join(cells) + "\n" for _, cells in found] == lines
