"""One-hot labels: a column for each class, with 1 in the rows that are of it.

Takes a `Table`; gives the columns that are classes, and the labels in a row's cells.

Conventions: cells are 0 or 1, false or true, in any case; an empty one is 0. Two columns at least, as one alone may be
a remark on the recording.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.clips.references import tidy
from pipelines.tables.column_names import NOTHING, folded
from pipelines.tables.table_reader import Table, cell_text

SAMPLE_ROWS = 1000
"""Rows that are looked at to tell which columns are classes."""

_ON = ("1", "true")
_OFF = ("0", "false", "")
_NO_CLASS = re.compile(r"(.*_)?(id|index|fold|votes?|counts?|number)")  # counts and numbers that happen to be 0 or 1


def hot_columns(table: Table, used: Sequence[str]) -> tuple[str, ...]:
    """Find the columns, beside those that are used otherwise, that hold 0 or 1 alone.

    Return their names, in order; () if there are fewer than two, or no row is of a class. Raises `SourceError`.
    """
    left = [name for name in table.columns if name not in used and folded(name) not in NOTHING]
    left = [name for name in left if not _NO_CLASS.fullmatch(folded(name))]
    seen: dict[str, set[str]] = {name: set() for name in left}
    if len(left) < 2:
        return ()
    with contextlib.closing(table.rows(left)) as rows:  # type: ignore[type-var]
        for row in itertools.islice(rows, SAMPLE_ROWS):
            for name in [name for name in left if row.cells and not row.fault]:
                seen[name].add(_state(row.cells.get(name)))
                if not seen[name] <= {*_ON, *_OFF}:
                    left.remove(name)
    found = tuple(name for name in left if seen[name] - {""})
    return found if len(found) > 1 and any(seen[name] & {*_ON} for name in found) else ()


def hot_labels(cells: Mapping[str, Any], columns: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Return the labels of a row in the columns of `hot_columns`, and what is wrong with a cell, "" if nothing is."""
    wrong = next((name for name in columns if _state(cells.get(name)) not in (*_ON, *_OFF)), None)
    fault = "" if wrong is None else f"has {cells.get(wrong)!r:.80} in column {wrong!r}; expected 0 or 1"
    return tidy(name for name in columns if _state(cells.get(name)) in _ON), fault


def _state(value: Any) -> str:
    """Spell a cell as one of `_ON` and `_OFF`, if it is."""
    text = cell_text(value)
    return "another" if text is None else re.sub(r"^([01])\.0*$", r"\1", text.lower())
