"""Tables: the rows of a CSV, TSV, JSON-lines or Parquet file, one after the other.

Takes the path or URI of a file; gives the names of its columns, and then its rows, of the columns that are asked for.
Cells are data: text, numbers or lists, never evaluated. Memory is bounded by the longest line, or by a batch of
Parquet's rows, whatever the number of rows.

Conventions: text is UTF-8, with or without a mark. Tabs separate the cells of a .tsv or .tab, else the most frequent of
comma, semicolon and tab in the header; quotes are as in `pipelines.tables.delimited`. A file that cannot be read is a
`SourceError`; a bad line of JSON, or a row with more cells than the header, is a row with a `fault`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TextIO

from pipelines.clips.listing import SourceError
from pipelines.files.containers import ClipError, open_stream, read_state
from pipelines.files.locations import locate, nearest
from pipelines.messages import one_line
from pipelines.tables.delimited import DelimitedError, cells_fault, delimiter_of, has_quotes, parse

MAX_LINE_CHARACTERS = 1 << 20
MAX_COLUMNS = 10_000
MAX_BATCH_BYTES = 256 << 20  # in memory, of the columns that are read of a batch of Parquet's rows

_BATCH_ROWS = 64


@dataclass(frozen=True)
class Row:
    """One row: its last line in the file (in Parquet its number) from 1, cells by column, and its fault or ""."""

    line: int
    cells: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True)
class Table:
    """A table that can be read: its URI, the names of its columns, and what gives the rows of named columns anew."""

    uri: str
    columns: tuple[str, ...]
    rows: Callable[[Collection[str]], Iterator[Row]]


def open_table(uri: str) -> Table:
    """Read a table's columns; its ending, one of `FORMATS`, is its format, else it is CSV. Raises `SourceError`."""
    ending = uri[uri.rfind(".") :].lower()
    return FORMATS.get(ending, _open_csv)(uri)


def cell_text(value: Any) -> str | None:
    """Return a cell as text: "" if it is empty, None if it is not one value."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace").strip()
    if isinstance(value, float) and value.is_integer():  # integers with gaps become floats in data frames
        return str(int(value))
    if isinstance(value, float) and value != value:
        return ""
    return str(value) if isinstance(value, (bool, int, float)) else None


def text_lines(uri: str) -> Iterator[str]:
    """Give the lines of a text file.

    Raises `SourceError` if it cannot be read, is not UTF-8, or has too long a line.
    """
    with _opened(uri) as stream, io.TextIOWrapper(_buffered(stream), encoding="utf-8-sig", newline="") as text:
        yield from _lines(text, uri)


def _open_csv(uri: str) -> Table:
    """Read the header of CSV or TSV."""
    with _closing(text_lines(uri)) as lines:
        first = next(lines, "")
    delimiter = delimiter_of(first, tabs=uri.lower().endswith((".tsv", ".tab")))
    quotes = has_quotes(first, delimiter)

    def read() -> Iterator[tuple[int, list[str]]]:
        with _closing(text_lines(uri)) as lines:
            try:
                yield from parse(lines, delimiter, quotes=quotes)
            except DelimitedError as error:
                raise SourceError(
                    f"{uri!r} is not a readable table: {error}; close the quote, write quotes within a cell twice, or "
                    "save it as .tsv, where they are characters like others"
                ) from error

    def rows(names: Collection[str]) -> Iterator[Row]:
        with _closing(read()) as table:
            next(table, None)
            places = {name: header.index(name) for name in names if name in header}
            for line, cells in table:
                if cells:
                    found = {name: cells[place].strip() if place < len(cells) else "" for name, place in places.items()}
                    yield Row(line, found, cells_fault(cells, len(header), quotes=quotes))

    with _closing(read()) as table:
        header = tuple(name.strip() for name in next(table, (0, []))[1])
    return Table(uri, header, rows)


def _open_jsonl(uri: str) -> Table:
    """Read the keys of all lines of JSON."""

    def rows(names: Collection[str] | None) -> Iterator[Row]:
        with _closing(text_lines(uri)) as lines:
            for line, text in enumerate(lines, 1):
                if not text.strip():
                    continue
                try:
                    found = json.loads(text)
                except (ValueError, RecursionError) as error:
                    yield Row(line, fault=f"is not JSON ({one_line(error)})")
                    continue
                if isinstance(found, dict):
                    yield Row(line, found if names is None else {name: found[name] for name in names if name in found})
                else:
                    yield Row(line, fault=f"is not an object in braces, but {type(found).__name__}")

    columns: dict[str, None] = {}
    for row in rows(None):
        columns.update(dict.fromkeys(row.cells))
        if len(columns) > MAX_COLUMNS:
            raise SourceError(f"{uri!r} has more than {MAX_COLUMNS} keys; expected the same few on each line")
    return Table(uri, tuple(columns), rows)


def _open_parquet(uri: str) -> Table:
    """Read the schema of Parquet."""

    def rows(names: Collection[str]) -> Iterator[Row]:
        number = 0
        with _opened_parquet(uri) as file:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=sorted(names)):
                if batch.nbytes > MAX_BATCH_BYTES:
                    raise SourceError(
                        f"{uri!r} has {batch.nbytes} bytes in {len(batch)} rows of the columns "
                        f"{', '.join(sorted(names))}; expected at most {MAX_BATCH_BYTES}: paths and labels are short"
                    )
                for cells in batch.to_pylist():
                    number += 1
                    yield Row(number, cells)

    with _opened_parquet(uri) as file:
        return Table(uri, tuple(file.schema_arrow.names), rows)


FORMATS: dict[str, Callable[[str], Table]] = {
    ".csv": _open_csv,
    ".tsv": _open_csv,
    ".tab": _open_csv,
    ".jsonl": _open_jsonl,
    ".ndjson": _open_jsonl,
    ".parquet": _open_parquet,
}
"""What reads a table, by the ending of its name."""


@contextmanager
def _opened_parquet(uri: str) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _opened(uri) as stream:
        try:
            yield pq.ParquetFile(stream)
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, SourceError):
                raise
            raise SourceError(f"{uri!r} is not readable Parquet ({one_line(error)[:200]}); write it anew") from error


def check_there(uri: str) -> None:
    """Refuse a table or list that does not exist with a `SourceError`, without reading it."""
    try:
        read_state(uri)
    except ClipError as error:
        raise _unreadable(uri, error) from error


@contextmanager
def _opened(uri: str) -> Iterator[BinaryIO]:
    """Open a file of a table or list; all errors of it or the connection become a `SourceError`."""
    try:
        read_state(uri)
        with open_stream(uri) as stream:
            yield stream
    except ClipError as error:
        raise _unreadable(uri, error) from error
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{uri!r} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from error
    except OSError as error:
        raise SourceError(f"{uri!r} cannot be read ({one_line(error)}); try again") from error


def _unreadable(uri: str, error: ClipError) -> SourceError:
    if isinstance(error.__cause__, FileNotFoundError):
        return SourceError(f"{uri!r} does not exist; expected a table or list{nearest(locate(uri))}")
    return SourceError(f"{uri!r} cannot be read: {error}".replace("; expected a sound file", ""))


def _lines(text: TextIO, uri: str) -> Iterator[str]:
    number = 0
    while line := text.readline(MAX_LINE_CHARACTERS + 1):
        number += 1
        if len(line) > MAX_LINE_CHARACTERS:
            raise SourceError(
                f"{uri!r} has more than {MAX_LINE_CHARACTERS} characters on line {number}: it is no table"
            )
        yield line


class _Raw(io.RawIOBase):
    """A stream of any file system for the `io` module; closing it leaves the stream open."""

    def __init__(self, stream: BinaryIO):
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _buffered(stream: BinaryIO) -> io.BufferedReader:
    return io.BufferedReader(_Raw(stream), 1 << 16)


@contextmanager
def _closing(generator: Iterator[Any]) -> Iterator[Iterator[Any]]:
    """Close a generator, and the file that it has open, however its reader ends."""
    try:
        yield generator
    finally:
        generator.close()  # type: ignore[attr-defined]
