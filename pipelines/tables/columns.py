"""Columns: which columns of a table are used, and the content of its rows.

Takes a `Table` and the `Columns` that the user named; gives an `Entry` for each row. Labels are text: never evaluated.

Conventions: a column is the one that the user named, or the first of the known ones (`pipelines.tables.column_names`).
Labels are read as in `pipelines.tables.label_cells`: text is split at the user's separator, or in a column whose name
is a plural at the first of | ; , that is in it. Integers are their decimals. `Reader.note` names the columns that were
found, and those that are not used.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipelines.clips.listing import SourceError
from pipelines.clips.references import Groups, tidy
from pipelines.tables.column_names import (
    LABELS,
    NOTHING,
    PATHS,
    PLURALS,
    SPLITS,
    ColumnError,
    Times,
    find,
    find_times,
    folded,
    holds_several,
    there,
)
from pipelines.tables.label_cells import labels_in
from pipelines.tables.one_hot import hot_columns, hot_labels
from pipelines.tables.table_reader import Row, Table, cell_text

_TOLD = 8  # columns that a note names


@dataclass(frozen=True)
class Columns:
    """Names of a table's columns; None takes the first of a known name, "" as an offset or end takes none."""

    path: str | None = None  # column that names the file
    label: str | None = None  # column that holds the class or classes
    split: str | None = None  # column that holds the split
    offset: str | None = None  # column of where a piece begins, in seconds from the beginning of the file
    end: str | None = None  # column of where it ends, likewise
    duration: str | None = None  # column of seconds
    groups: tuple[str, ...] = ()  # columns that are carried as groups
    separator: str | None = None  # of the labels of a clip; None: as in the module's docstring


@dataclass(frozen=True)
class Entry:
    """The content of one row; None where there is no such column."""

    line: int  # of the row in the table
    path: str  # of the file, as it is written
    labels: tuple[str, ...] | None = None  # of the sound; () where the cell holds none
    split: str | None = None  # of the sound; "" where the cell is empty
    groups: Groups = ()  # of the sound
    offset_seconds: float = 0.0  # where the piece begins
    duration_seconds: float | None = None  # how long it is; None: up to the end
    fault: str = ""  # what is wrong with the row, "" if nothing is


@dataclass(frozen=True)
class Reader:
    """The columns of one table."""

    table: Table  # that is read
    path: str  # name of the column of paths
    label: str | None  # name of the column of labels, if there is one
    split: str | None  # name of the column of splits, if there is one
    times: Times  # names of the columns of times
    groups: tuple[tuple[str, str], ...]  # names of groups, and of their columns
    separator: str | None  # as in `Columns`
    # column that is used where that of labels is empty, as where a table has both "labels" and "label"
    other_label: str | None = None
    named: bool = False  # whether the user named the column of labels
    hot: tuple[str, ...] = ()  # names of columns that are classes, where there is no column of labels

    @property
    def used(self) -> tuple[str, ...]:
        """Names of the columns that are read, each once."""
        times = (self.times.start, self.times.end, self.times.duration)
        own = (self.path, self.label, self.other_label, self.split, *times, *(column for _, column in self.groups))
        own = (*own, *self.hot)
        return tuple(dict.fromkeys(name for name in own if name is not None))

    def note(self, classes: int) -> str:
        """Return a line on the columns that were guessed, and on those that are not used; "" for none.

        `classes` is the number of different labels in the rows.
        """
        found = []
        counted = f"{classes} class{'' if classes == 1 else 'es'}"
        if self.hot:
            found.append(f"labels from {len(self.hot)} columns of 0 and 1, {_quoted(self.hot)}")
        elif self.label is None:
            found.append(f"labels from folders, {counted} (--label-column names a column of labels)")
        elif not self.named:
            also = f" or `{self.other_label}`" if self.other_label else ""
            found.append(f"labels from column `{self.label}`{also}, {counted}")
        if self.times.end is not None:
            found.append(f"pieces from `{self.times.start}` to `{self.times.end}`")
        if unused := [name for name in self.table.columns if name not in self.used and folded(name) not in NOTHING]:
            found.append(f"not used: {_quoted(unused)}")
        return tidy([f"{self.table.uri!r}: {'; '.join(found)}"])[0] if found else ""

    def entries(self) -> Iterator[Entry]:
        """Give the rows; empty ones are left out, one without a file has a fault. Raises `SourceError`."""
        for row in self.table.rows(self.used):
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
        if self.hot:
            labels, fault = hot_labels(cells, self.hot)
        start, duration, wrong = self._piece(row)
        return Entry(row.line, path, labels, split, groups, start, duration, fault or wrong)

    def _piece(self, row: Row) -> tuple[float, float | None, str]:
        """Return where the piece of a row begins and how long it is, and what is wrong with its times."""
        times: list[float | None] = []
        flags = (("--start-column", self.times.start, 0.0), ("--end-column", self.times.end, 0.0))
        for flag, column, least in (*flags, ("--duration-column", self.times.duration, 1e-9)):
            text = "" if column is None else cell_text(row.cells.get(column))
            value = _number(text or "nan") if text != "" else None
            if value is not None and not least <= value < math.inf:
                what = f"has {row.cells.get(column or '')!r:.80} in column {column!r}; expected seconds, such as 1.5"
                return 0.0, None, f"{what} ({flag} names another column, '' none)"
            times.append(value)
        start, end, duration = times[0] or 0.0, times[1], times[2]
        if end is None:
            return start, duration, ""
        if end <= start:
            what = f"ends at {end:g} s in column {self.times.end!r}, and begins at {start:g} s in {self.times.start!r}"
            return 0.0, None, f"{what}; name the columns with --start-column, and --end-column or --duration-column"
        return start, round(end - start, 9), ""

    def _labels(self, value: Any) -> tuple[str, ...] | None:
        several = self.label is not None and holds_several(self.label)
        return labels_in(value, separator=self.separator, several=several)


def reader(table: Table, columns: Columns) -> Reader:
    """Find the columns of a table. Raises `SourceError` if it has no column of paths, or none of a given name."""
    names = table.columns
    try:
        path = find(names, columns.path, PATHS)
        if path is None:
            raise ColumnError(
                f"has no column that names files: {there(names)}; name it with --path-column; expected one of {PATHS}"
            )
        label = find(names, columns.label, LABELS)
        other_label = None
        several = next((name for name in names if folded(name) in PLURALS), None)
        if columns.label is None and label is not None and several is not None and several != label:
            label, other_label = several, label
        found = Reader(
            table=table,
            path=path,
            label=label,
            other_label=other_label,
            split=find(names, columns.split, SPLITS),
            times=find_times(names, Times(columns.offset, columns.end, columns.duration), path),
            groups=tuple((name, find(names, name, ()) or name) for name in sorted(columns.groups)),
            separator=columns.separator,
            named=columns.label is not None,
        )
    except ColumnError as error:
        raise SourceError(f"{table.uri!r} {error}") from error
    return found if label or columns.label is not None else replace(found, hot=hot_columns(table, found.used))


def quoted(entry: Entry) -> str:
    """Quote a row for a message."""
    labels = entry.labels or ()
    label = labels[0] if len(labels) == 1 else list(labels) if labels else ""
    return f"line {entry.line} says {label!r}" + (f" in split {entry.split!r}" if entry.split else "")


def no_labels(table: Table) -> SourceError:
    """Return the error of a table that lacks a column of labels."""
    return SourceError(
        f"{table.uri!r} has no column of labels: {there(table.columns)}; name it with --label-column; expected one of "
        f"{LABELS}"
    )


def _quoted(names: Sequence[str]) -> str:
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return ", ".join(f"`{name}`" for name in names[:_TOLD]) + more


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
