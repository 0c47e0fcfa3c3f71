"""What a verification has at hand and what it finds: problems, counts, and notes that do not grow memory."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pipelines.dataset import Dataset

SHOWN_PROBLEMS = 100

OnProgress = Callable[[str, int, int], Any]
"""Is told what is being read, how much of it has been, and how much there is."""


@dataclass(frozen=True)
class Problem:
    """Something that is wrong: where, and what; together one line."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass
class Problems:
    """What has been found: the first `SHOWN_PROBLEMS` problems, and how many there are."""

    shown: list[Problem] = field(default_factory=list)
    count: int = 0

    def add(self, where: str, what: str) -> None:
        """Count a problem, and keep it if it is one of the first."""
        self.count += 1
        if len(self.shown) < SHOWN_PROBLEMS:
            self.shown.append(Problem(where, what))


@dataclass(frozen=True)
class Report:
    """What verification found.

    Attributes:
        problems: the first of them.
        problem_count: how many there are.
        shards: files that were read.
        records: that were read.
        sources: files that were hashed.
        audio_bytes: of all shards.
    """

    problems: tuple[Problem, ...]
    problem_count: int
    shards: int
    records: int
    sources: int
    shard_bytes: int


class Notes:
    """Ids and sources, in a temporary file."""

    def __init__(self, database: sqlite3.Connection):
        self._database = database
        database.execute("CREATE TABLE ids (id TEXT PRIMARY KEY) WITHOUT ROWID")
        database.execute(
            "CREATE TABLE sources (uri TEXT, sha256 TEXT, kind TEXT, id TEXT, PRIMARY KEY (uri, sha256)) WITHOUT ROWID"
        )

    def is_new(self, id_: str) -> bool:
        """Note an id; tell whether it has not come before."""
        return self._database.execute("INSERT OR IGNORE INTO ids VALUES (?)", (id_,)).rowcount == 1

    def add_source(self, uri: str, digest: str, kind: str, id_: str) -> None:
        """Note a file that a record was made from."""
        self._database.execute("INSERT OR IGNORE INTO sources VALUES (?, ?, ?, ?)", (uri, digest, kind, id_))

    def sources(self) -> Iterator[tuple[str, str, str, str]]:
        """Give each file with its hash, what it is and a record that was made from it."""
        yield from self._database.execute("SELECT * FROM sources")

    def source_count(self) -> int:
        """Count the files."""
        return self._database.execute("SELECT COUNT(*) FROM sources").fetchone()[0]


@dataclass(frozen=True, eq=False)
class Verification:
    """What a verification has at hand.

    Attributes:
        dataset: that is verified.
        problems: found so far.
        notes: ids and sources.
        tally: shards, bytes, records and unreadable records so far, and dreams and reached of each recipe.
        tell: where progress is told.
    """

    dataset: Dataset
    problems: Problems
    notes: Notes
    tally: Counter[str]
    tell: OnProgress
