"""Columns: which column of a table says what, and what its rows say of sounds.

Takes a `Table` and the `Columns` that the user named; gives an `Entry` for each row. Labels are text: never evaluated.

Conventions: a column is the one that the user named, or the first of those known (`PATHS` and the others here) that is
there, compared without regard to case. Labels are read as `pipelines.label_cells` says: text is parted at the user's
separator, or in a column whose name is a plural at the first of | ; , that is in it. Integers are their decimals.

Sources: the columns of ESC-50, UrbanSound8K, FSD50K, NeMo's manifests and their like; tests/test_metadata.py reads
those as they come.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.clips import Groups, tidy
from pipelines.label_cells import labels_in
from pipelines.listing import SourceError
from pipelines.tables import Row, Table, cell_text

# What data sets call their columns, in order of precedence.
PATHS = (
    *("path", "filename", "file_name", "file", "fname", "audio", "audio_path", "slice_file_name", "filepath"),
    *("file_path", "audio_file", "audio_filename", "audio_filepath", "wav", "wav_path", "uri", "clip"),
)
LABELS = ("label", "category", "class", "class_name", "classname", "labels", "tag", "tags", "target", "sound")
SPLITS = ("split", "subset", "partition")
OFFSETS = ("offset", "offset_seconds")
DURATIONS = ("duration", "duration_seconds")

_PLURALS = ("labels", "tags", "classes")


@dataclass(frozen=True)
class Columns:
    """Names of a table's columns.

    Attributes:
        path: column that names the file; None takes the first of `PATHS` that is there.
        label: column that holds the class or classes; None takes the first of `LABELS` that is there.
        split: column that holds the split; None takes the first of `SPLITS` that is there, if any.
        offset: column of seconds from the beginning of the file; None takes the first of `OFFSETS`, if any.
        duration: column of seconds; None takes the first of `DURATIONS`, if any.
        groups: columns that are carried as groups.
        separator: what parts the labels of a clip; None: as the module says.
    """

    path: str | None = None
    label: str | None = None
    split: str | None = None
    offset: str | None = None
    duration: str | None = None
    groups: tuple[str, ...] = ()
    separator: str | None = None


@dataclass(frozen=True)
class Entry:
    """What one row says; None where there is no such column.

    Attributes:
        line: where it stands in the table.
        path: of the file, as it is written.
        labels: of the sound; () where the cell holds none.
        split: of the sound; "" where the cell is empty.
        groups: that it belongs to.
        offset_seconds: where the piece begins.
        duration_seconds: how long it is; None: up to the end.
        fault: what is wrong with the row, "" if nothing is.
    """

    line: int
    path: str
    labels: tuple[str, ...] | None = None
    split: str | None = None
    groups: Groups = ()
    offset_seconds: float = 0.0
    duration_seconds: float | None = None
    fault: str = ""


@dataclass(frozen=True)
class Reader:
    """The columns of one table.

    Attributes:
        table: that is read.
        path: name of the column of paths.
        label: name of the column of labels, if there is one.
        other_label: column of one label where that has none, as where a table has both "labels" and "label".
        split: name of the column of splits, if there is one.
        offset: name of the column of offsets, if there is one.
        duration: name of the column of durations, if there is one.
        groups: names of groups, and of their columns.
        separator: as in `Columns`.
    """

    table: Table
    path: str
    label: str | None
    split: str | None
    offset: str | None
    duration: str | None
    groups: tuple[tuple[str, str], ...]
    separator: str | None
    other_label: str | None = None

    def entries(self) -> Iterator[Entry]:
        """Give what the rows say; an empty row is left out, one that says something of no file has a fault.

        Raises:
            SourceError: the table can not be read on.
        """
        own = (self.path, self.label, self.other_label, self.split, self.offset, self.duration)
        names = {*own, *(column for _, column in self.groups)}
        for row in self.table.rows([name for name in names if name is not None]):
            path = cell_text(row.cells.get(self.path))
            if row.fault or path is None:
                yield Entry(row.line, path or "", fault=row.fault or f"has no text in column {self.path!r}")
            elif path:
                yield self._entry(row, path)
            elif any(cell_text(value) != "" for value in row.cells.values()):
                yield Entry(row.line, "", fault=f"names no file in column {self.path!r}")

    def _entry(self, row: Row, path: str) -> Entry:
        cells = row.cells
        labels = None if self.label is None else self._labels(cells.get(self.label))
        if labels == () and self.other_label is not None:
            labels = self._labels(cells.get(self.other_label))
        split = None if self.split is None else cell_text(cells.get(self.split)) or ""
        groups = tuple((name, "".join(tidy([cell_text(cells.get(column)) or ""]))) for name, column in self.groups)
        fault = "" if self.label is None or labels is not None else f"has no labels, but {cells.get(self.label)!r:.80}"
        times: list[float | None] = []
        for column, least in ((self.offset, 0.0), (self.duration, 1e-9)):
            text = "" if column is None else cell_text(cells.get(column))
            value = _number(text or "nan") if text != "" else None
            if value is not None and not least <= value < math.inf:
                fault = (
                    fault or f"has {cells.get(column or '')!r:.80} in column {column!r}; expected seconds, such as 1.5"
                )
            times.append(value)
        return Entry(row.line, path, labels, split, groups, times[0] or 0.0, times[1], fault)

    def _labels(self, value: Any) -> tuple[str, ...] | None:
        several = self.label is not None and self.label.lower() in _PLURALS
        return labels_in(value, separator=self.separator, several=several)


def reader(table: Table, columns: Columns) -> Reader:
    """Find the columns of a table.

    Raises:
        SourceError: it has no column of paths, or none of a name that the user gave.
    """
    path = _column(table, columns.path, PATHS)
    if path is None:
        raise SourceError(f"{table.uri!r} has no column that names files: {_there(table)}; expected one of {PATHS}")
    label, other_label = _column(table, columns.label, LABELS), None
    several = next((name for name in table.columns if name.lower() in _PLURALS), None)
    if columns.label is None and label is not None and several is not None and several != label:
        label, other_label = several, label
    return Reader(
        table=table,
        path=path,
        label=label,
        other_label=other_label,
        split=_column(table, columns.split, SPLITS),
        offset=_column(table, columns.offset, OFFSETS),
        duration=_column(table, columns.duration, DURATIONS),
        groups=tuple((name, _column(table, name, ()) or name) for name in sorted(columns.groups)),
        separator=columns.separator,
    )


def said(entry: Entry) -> str:
    """Quote a row for a message."""
    labels = entry.labels or ()
    label = labels[0] if len(labels) == 1 else list(labels) if labels else ""
    return f"line {entry.line} says {label!r}" + (f" in split {entry.split!r}" if entry.split else "")


def no_labels(table: Table) -> SourceError:
    """Return the error of a table that has to have labels, and has none."""
    return SourceError(f"{table.uri!r} has no column of labels: {_there(table)}; expected one of {LABELS}")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _there(table: Table) -> str:
    names = ", ".join(map(repr, table.columns[:50])) + (", ..." if len(table.columns) > 50 else "")
    return f"its columns are {names}" if table.columns else "it is empty"


def _column(table: Table, given: str | None, known: Sequence[str]) -> str | None:
    """Find a column by the name that the user gave, or by those that are known."""
    folded: Mapping[str, str] = {name.lower(): name for name in reversed(table.columns)}
    if given is None:
        return next((folded[name] for name in known if name in folded), None)
    if given in table.columns:
        return given
    if given.lower() in folded:
        return folded[given.lower()]
    near = difflib.get_close_matches(given.lower(), folded, n=1)
    hint = f"; did you mean {folded[near[0]]!r}?" if near else ""
    raise SourceError(f"{table.uri!r} has no column {given!r}: {_there(table)}{hint}")
