"""What a verification works with and what it finds: problems, counts, and ids and sources on disk."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.dataset.reader import Dataset
from pipelines.messages import printable

SHOWN_PROBLEMS = 100

UNKNOWN = "unknown arithmetic"
"""Of dreams whose record does not have it: those of dreambeam before 0.4.0."""

OnProgress = Callable[[str, int, int], Any]
"""Called with what is being read, how much of it has been read, and how much there is."""


@dataclass(frozen=True)
class Problem:
    """Something that is wrong: where, and what; together one line."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass
class Problems:
    """The first `SHOWN_PROBLEMS` problems, and how many there are."""

    shown: list[Problem] = field(default_factory=list)
    count: int = 0

    def add(self, where: str, what: str) -> None:
        """Count a problem, and keep it if it is one of the first; control characters are escaped."""
        self.count += 1
        if len(self.shown) < SHOWN_PROBLEMS:
            self.shown.append(Problem(printable(where), printable(what)))


@dataclass(frozen=True)
class Report:
    """The result of a verification."""

    problems: tuple[Problem, ...]  # the first of them
    problem_count: int  # how many there are
    shards: int = 0  # files that were read
    records: int = 0  # that were read
    sources: int = 0  # files that were hashed
    shard_bytes: int = 0  # of all shards
    # number of dreams by their arithmetic (`augment.determinism.arithmetic`)
    made_on: Mapping[str, int] = field(default_factory=dict)


class Notes:
    """Ids and sources, in a temporary file."""

    def __init__(self, database: sqlite3.Connection):
        self._database = database
        database.execute("CREATE TABLE ids (id TEXT PRIMARY KEY) WITHOUT ROWID")
        database.execute(
            "CREATE TABLE sources (uri TEXT, record_offset INTEGER, sha256 TEXT, kind TEXT, id TEXT, "
            "PRIMARY KEY (uri, record_offset, sha256)) WITHOUT ROWID"
        )

    def is_new(self, id_: str) -> bool:
        """Note an id; return whether it is new."""
        return self._database.execute("INSERT OR IGNORE INTO ids VALUES (?)", (id_,)).rowcount == 1

    def add_source(self, uri: str, digest: str, kind: str, id_: str, record_offset: int | None = None) -> None:
        """Note a file, or a record of one, that a record was made from."""
        offset = -1 if record_offset is None else min(record_offset, (1 << 63) - 1)
        self._database.execute("INSERT OR IGNORE INTO sources VALUES (?, ?, ?, ?, ?)", (uri, offset, digest, kind, id_))

    def sources(self) -> Iterator[tuple[str, int | None, str, str, str]]:
        """Give each source: file, offset where it is a record, hash, what it is, and an id that was made from it."""
        for uri, record_offset, *rest in self._database.execute("SELECT * FROM sources"):
            yield uri, None if record_offset < 0 else record_offset, *rest

    def source_count(self) -> int:
        """Count the sources."""
        return self._database.execute("SELECT COUNT(*) FROM sources").fetchone()[0]


@dataclass(frozen=True, eq=False)
class Verification:
    """The state of a verification."""

    dataset: Dataset  # that is verified
    problems: Problems  # found so far
    notes: Notes  # ids and sources
    tally: Counter[str]  # shards, bytes, records and unreadable records so far, and dreams and reached of each recipe
    on_progress: OnProgress  # called now and then
    made_on: Counter[str] = field(default_factory=Counter)  # dreams so far by their arithmetic
