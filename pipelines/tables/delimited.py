"""Delimited text: the cells of CSV and TSV, and whether a quote has swallowed rows.

Takes the lines of a file; gives the cells of each row, and the number of its last line. Nothing is opened here.

Conventions: in CSV a cell may be in quotes, and then hold delimiters, line breaks and doubled quotes (RFC 4180). In TSV
a quote is a character like any other, and a line is a row, as in IANA's text/tab-separated-values and as Common Voice
writes it; only if each name of the header is in quotes, as R writes it, do the quotes mean what they mean in CSV.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence

_MANY_CELLS = 4  # of a header: the lines of a text in quotes do not all have as many delimiters by chance
_FILE_NAME = re.compile(r"\S+\.[A-Za-z0-9]{2,5}")


class DelimitedError(ValueError):
    """The rows cannot be separated; the message is one line that begins with the line number."""


def delimiter_of(header: str, *, tabs: bool) -> str:
    """Return the delimiter: a tab if `tabs`, else the most frequent of comma, semicolon and tab."""
    return "\t" if tabs else max(",;\t", key=header.count)


def has_quotes(header: str, delimiter: str) -> bool:
    """Return by the header line whether cells may be in quotes."""
    names = header.strip().split(delimiter)
    return delimiter != "\t" or all(len(name) > 1 and name[0] == name[-1] == '"' for name in names)


def parse(lines: Iterable[str], delimiter: str, *, quotes: bool) -> Iterator[tuple[int, list[str]]]:
    """Split lines, the header first, into cells; cells may be in quotes if `quotes`.

    Yields the number of a row's last line, from 1, and its cells; none where the line is empty. Raises `DelimitedError`
    if a quote is not closed, or closed after lines that are rows themselves; or a cell is too long.
    """
    if not quotes:
        for number, line in enumerate(lines, 1):
            text = line.rstrip("\r\n")
            yield number, text.split(delimiter) if text else []
        return
    own: list[str] = []  # lines of the row that is read

    def kept() -> Iterator[str]:
        for line in lines:
            own.append(line)
            yield line

    reader = csv.reader(kept(), delimiter=delimiter, skipinitialspace=True)
    width = 0
    try:
        for cells in reader:
            width = width or len(cells)
            _check(own, cells, width, reader.line_num, delimiter)
            yield reader.line_num, cells
            own.clear()
    except csv.Error as error:
        raise DelimitedError(f"line {reader.line_num}: {error}") from error


def cells_fault(cells: Sequence[str], width: int, *, quotes: bool) -> str:
    """Return what is wrong with the number of a row's cells, compared with the header's width; "" if nothing is.

    Missing cells are empty ones, unless a line break in quotes may have cut the row.
    """
    what = f"has {len(cells)} cells, where the header has {width}"
    if any(cell.strip() for cell in cells[width:]):
        return f"{what}; put a cell with a delimiter in it into quotes" if quotes else what
    if not quotes and len(cells) < width and any('"' in cell for cell in cells):
        return f"{what}; in a TSV a quote does not hold a line together"
    return ""


def _like_a_row(line: str, width: int, delimiter: str) -> bool:
    """Return whether a line of a cell in quotes looks like a row: as many cells, and one that names a file, or many."""
    cells = line.strip().split(delimiter)
    return len(cells) == width and (width >= _MANY_CELLS or any(_FILE_NAME.fullmatch(cell.strip()) for cell in cells))


def _check(lines: Sequence[str], cells: Sequence[str], width: int, last: int, delimiter: str) -> None:
    """Refuse a row in which a quote has swallowed others."""
    where = f"line {last - len(lines) + 1}"
    cut = len(cells) < width and '"' in lines[0]
    if len(lines) == 1 and not cut:
        return
    try:
        list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise DelimitedError(f"{where}: a quote opens a cell and is not closed rightly up to line {last}") from error
    if len(lines) > 1 and (len(cells) != width or all(_like_a_row(line, width, delimiter) for line in lines)):
        raise DelimitedError(
            f"{where}: a quote opens a cell that goes on to line {last}: {len(lines)} lines are one row of "
            f"{len(cells)} cells, where the header has {width}"
        )
