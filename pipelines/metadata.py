"""Metadata: the table (CSV or TSV) that says which label and split each sound file has.

Takes the files that `sources` has listed, and the path or URI of a table with a header row; gives the same files
with what their rows say, or a `Failure` for each file whose rows leave that open. Labels are text: never evaluated.

Conventions: a column is the one that the user named, or the first of `PATH_COLUMNS`, `LABEL_COLUMNS` and
`SPLIT_COLUMNS` that is there. A row belongs to the file whose id it names, or whose path relative to the table's
folder, or, where it is the only one, whose base name. Paths are compared letter for letter, with forward
slashes and in Unicode's form NFC. A table that can not be used at all is a `SourceError`.

Sources: the columns of ESC-50, UrbanSound8K, FSD50K and their like; tests/test_metadata.py reads those as they come.
"""

from __future__ import annotations

import csv
import difflib
import io
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pipelines.clips import Failure, SoundFileRef
from pipelines.locations import local_path, locate, nearest

# What data sets call their columns, in order of precedence; compared without regard to case.
PATH_COLUMNS = (
    *("path", "filename", "file_name", "file", "fname", "audio", "audio_path", "slice_file_name", "filepath"),
    *("file_path", "audio_file", "audio_filename", "wav", "wav_path", "uri", "clip"),
)
LABEL_COLUMNS = (
    "label",
    "category",
    "class",
    "class_name",
    "classname",
    "labels",
    "tag",
    "tags",
    "target",
    "sound",
)
SPLIT_COLUMNS = ("split", "subset", "partition")

_SPLIT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")  # it becomes part of file names


class SourceError(ValueError):
    """The inputs or the CSV can not be used, so the whole run can not start; the message is one line."""


@dataclass(frozen=True)
class Columns:
    """Names of the CSV's columns.

    Attributes:
        path: column that names the file; None takes the first of `PATH_COLUMNS` that is there.
        label: column that holds the class; None takes the first of `LABEL_COLUMNS` that is there.
        split: column that holds the split; None takes the first of `SPLIT_COLUMNS` that is there, if any.
    """

    path: str | None = None
    label: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class _Row:
    """One row of the CSV; `label` and `split` are None where there is no such column."""

    line: int
    path: str
    label: str | None
    split: str | None


def label_files(files: Mapping[str, SoundFileRef], metadata: str, columns: Columns) -> Iterator[SoundFileRef | Failure]:
    """Give the files the labels and splits of a table.

    Args:
        files: references by location, as `locate` spells it.
        metadata: path or URI of the table, UTF-8 with or without a mark. Tabs part its cells where its name ends
            in .tsv or .tab, else whichever of comma, semicolon and tab is most frequent in its header.
        columns: names of its columns.

    Yields:
        For each file, in the order given: a new reference, or a failure of stage "label" where it has no row, no
        label, rows that disagree, or a split that can not be part of a file's name. Without a column of labels
        a file keeps its label, without a split in its row its split.

    Raises:
        SourceError: the table can not be read, lacks a column, or names none of the files. Raised when the first
            file is asked for.
    """
    rows, path_column = _read_rows(metadata, columns)
    folder = locate(metadata).rpartition("/")[0]
    by_path: dict[str, list[_Row]] = defaultdict(list)
    by_name: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        for key in _keys(row.path, folder):
            by_path[key].append(row)
        name = _key(row.path).rpartition("/")[2]
        by_name[name].append(row)
    names = Counter(_key(location).rpartition("/")[2] for location in files)
    matched = {}
    for location, file in files.items():
        name = _key(location).rpartition("/")[2]
        own = by_path.get(unicodedata.normalize("NFC", file.id)) or by_path.get(_key(location)) or []
        if not own and names[name] == 1:
            named = by_name.get(name) or by_name.get(name.rpartition(".")[0]) or []  # FSD50K leaves .wav out
            own = [row for row in named if _key(location).endswith("/" + _key(row.path))] or named
        matched[location] = own
    if files and not any(matched.values()):
        first = next(iter(files.values())).id
        raise SourceError(
            f"no row of {metadata!r} names any of the {len(files)} files: its column {path_column!r} says "
            f"{rows[0].path!r}, a file is {first!r}; expected the same path, or the same file name"
        )
    for location, file in files.items():
        yield _with_row(file, matched[location], metadata, path_column, shared=names[_key(location).rpartition("/")[2]])


def _with_row(
    file: SoundFileRef, rows: list[_Row], metadata: str, path_column: str, *, shared: int
) -> SoundFileRef | Failure:
    """Give one file what its rows say; `shared` files have its base name."""
    error = None
    if not rows:
        hint = f" (its name alone is not enough: {shared} files share it)" if shared > 1 else ""
        error = (
            f"has no row in {metadata!r}; add one with {file.id!r} in column {path_column!r}{hint}, or "
            "remove the file from the inputs"
        )
    elif other := next((row for row in rows if (row.label, row.split) != (rows[0].label, rows[0].split)), None):
        error = f"has rows in {metadata!r} that disagree: {_said(rows[0])}, {_said(other)}; leave only the right one"
    elif rows[0].label == "":
        error = f"has no label on line {rows[0].line} of {metadata!r}; write one there, or remove the file"
    elif rows[0].split and (not _SPLIT_NAME.fullmatch(rows[0].split) or rows[0].split == "all"):
        error = (
            f"has split {rows[0].split!r} on line {rows[0].line} of {metadata!r}; expected letters, "
            "digits, _ and -, such as 'train'"
        )
    if error:
        return Failure(uri=file.uri, id=file.id, stage="label", error=f"{file.id!r} {error}")
    row = rows[0]
    return replace(file, label=file.label if row.label is None else row.label, split=row.split or file.split)


def _said(row: _Row) -> str:
    """Quote a row for a message."""
    return f"line {row.line} says {row.label!r}" + (f" in split {row.split!r}" if row.split else "")


def _read_rows(metadata: str, columns: Columns) -> tuple[list[_Row], str]:
    """Read the CSV: its rows that name a file, and the name of the column where they do."""
    text = _read_text(metadata)
    first = text.splitlines()[0] if text.strip() else ""
    delimiter = "\t" if metadata.lower().endswith((".tsv", ".tab")) else max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        table = [(reader.line_num, cells) for cells in reader]
    except csv.Error as error:
        raise SourceError(
            f"{metadata!r} is not a readable table: line {reader.line_num}: {error}; expected CSV with a header row"
        ) from error
    path = _column(header, columns.path, PATH_COLUMNS, metadata)
    label = _column(header, columns.label, LABEL_COLUMNS, metadata)
    split = _column(header, columns.split, SPLIT_COLUMNS, metadata)
    there = f"its columns are {', '.join(map(repr, header))}" if header else "it is empty"
    if path is None:
        raise SourceError(f"{metadata!r} has no column that names files: {there}; expected one of {PATH_COLUMNS}")
    if label is None and split is None:
        raise SourceError(f"{metadata!r} has no column of labels: {there}; expected one of {LABEL_COLUMNS}")

    def cell(cells: list[str], column: int | None) -> str | None:
        return None if column is None else cells[column].strip() if column < len(cells) else ""

    rows = [_Row(line, cell(cells, path) or "", cell(cells, label), cell(cells, split)) for line, cells in table]
    rows = [row for row in rows if row.path]
    if not rows:
        raise SourceError(f"{metadata!r} has no row below its header that names a file; expected one for each file")
    return rows, header[path]


def _read_text(metadata: str) -> str:
    """Read the CSV's text, which is UTF-8 with or without a mark."""
    path = local_path(metadata)
    try:
        if path is None:
            from apache_beam.io.filesystem import CompressionTypes
            from apache_beam.io.filesystems import FileSystems

            with FileSystems.open(metadata, compression_type=CompressionTypes.UNCOMPRESSED) as stream:
                return stream.read().decode("utf-8-sig")
        with open(os.path.expanduser(path), encoding="utf-8-sig", newline="") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{metadata!r} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from error
    except FileNotFoundError as error:
        near = nearest(locate(metadata))
        raise SourceError(f"metadata {metadata!r} does not exist; expected a CSV with a header row{near}") from error
    except Exception as error:  # remote clients raise what they like; locally a folder, or no permission
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise SourceError(
            f"metadata {metadata!r} can not be read ({reason}); expected a CSV with a header row"
        ) from error


def _column(header: list[str], chosen: str | None, known: Sequence[str], metadata: str) -> int | None:
    """Find a column by the name that the user chose, or by those that are known."""
    folded = [name.lower() for name in header]
    if chosen is None:
        return next((folded.index(name) for name in known if name in folded), None)
    if chosen in header:
        return header.index(chosen)
    if chosen.lower() in folded:
        return folded.index(chosen.lower())
    there = f"its columns are {', '.join(map(repr, header))}" if header else "it is empty"
    near = difflib.get_close_matches(chosen.lower(), folded, n=1)
    hint = f"; did you mean {header[folded.index(near[0])]!r}?" if near else ""
    raise SourceError(f"{metadata!r} has no column {chosen!r}: {there}{hint}")


def _key(path: str) -> str:
    """Spell a path as it is compared: one form of accents (macOS decomposes them), forward slashes."""
    return unicodedata.normalize("NFC", path.replace("\\", "/").removeprefix("./"))


def _keys(path: str, folder: str) -> set[str]:
    """Give the ways to read a row's path: as an id, and relative to the CSV's folder or absolute."""
    key = _key(path)
    if local_path(key) is None:
        return {key}
    absolute = os.path.normpath(os.path.join(folder, key)) if local_path(folder) is not None else f"{folder}/{key}"
    return {unicodedata.normalize("NFC", path), key, _key(absolute)}
