"""Events: rows of a table that label pieces of a file.

Takes and gives the entries of `pipelines.tables.columns`. Events that overlap stay pieces of their own, each with its
own labels; those of the same piece are one sound with the labels of all.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace

from pipelines.clips.references import tidy
from pipelines.tables.columns import Entry


def joined(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Join the events of one piece of a file, in consecutive rows of that file; entries with a fault are kept."""
    for _, group in itertools.groupby(entries, key=lambda entry: entry.path):
        pieces: dict[object, list[Entry]] = {}
        for entry in group:
            piece = (entry.offset_seconds, entry.duration_seconds, entry.split, entry.groups)
            key = ("fault", entry.line) if entry.fault or entry.labels is None else piece
            pieces.setdefault(key, []).append(entry)
        for same in pieces.values():
            labels = tidy(label for entry in same for label in entry.labels or ())
            yield same[0] if len(same) == 1 else replace(same[0], labels=labels)
