"""Resuming a run that was stopped: which clips an earlier, unfinished run has done.

A worker's files (`pipelines.dataset.scratch`) outlive the run that was killed. Before the next one starts,
`index_finished` lists their whole records; a worker then asks `Finished` for the records of a clip before it dreams it.
A clip is done only if all of its records are there, made the same way (`run_digest`, by which the files are kept apart)
from the same piece of the same bytes (`clip_digest`): reused records are, byte for byte, those that the run would have
made.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

from augment.determinism.arithmetic import arithmetic
from augment.recipes.recipe import canonical_json
from pipelines.clips.references import ClipRef
from pipelines.config.run_config import RunConfig
from pipelines.dataset.schema import Vocabulary
from pipelines.dataset.scratch import FRAMES, RecordRef, Scratch
from pipelines.dataset.versions import versions
from pipelines.files.tfrecord import FrameError, read_frames

_TABLE = """
CREATE TABLE records (
    run TEXT, clip TEXT, key TEXT, split TEXT, path TEXT, offset INTEGER, example_bytes INTEGER, row_bytes INTEGER,
    PRIMARY KEY (run, clip, key)
) WITHOUT ROWID
"""

_IN_NO_RECORD = ("batch_size", "shards", "weights", "model", "licence")
"""Of a run's configuration, what no record depends on; weights and models are known by what they hold."""


def run_digest(config: RunConfig, vocabulary: Vocabulary, model_identity: str, sounds: Mapping[str, str]) -> str:
    """Return the sha256, hex, of all that the records of a clip depend on, beside the clip itself."""
    values = json.loads(config.canonical_json())
    parts = {
        "config": {key: value for key, value in values.items() if key not in _IN_NO_RECORD},
        "recipes": {name: recipe.digest() for name, recipe in config.named_recipes().items()},
        "vocabulary": dataclasses.asdict(vocabulary),
        "model": model_identity,
        "sounds": dict(sounds),
        "versions": versions(),
        "arithmetic": dataclasses.asdict(arithmetic()),
    }
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


def clip_digest(ref: ClipRef, source_sha256: str) -> str:
    """Return the sha256, hex, of a clip and the bytes of its source."""
    text = canonical_json({"ref": dataclasses.asdict(ref), "sha256": source_sha256})
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def index_finished(scratch: Scratch) -> int:
    """List the whole records that earlier runs left in a local scratch folder, in a new index; return their number."""
    Path(scratch.finished).unlink(missing_ok=True)
    files = sorted(Path(scratch.spill).glob("*/*.records"))
    if not files:
        return 0
    with contextlib.closing(sqlite3.connect(scratch.finished)) as index:
        index.execute(_TABLE)
        for path in files:
            rows = ((path.parent.name, *row) for row in _whole_records(path))
            index.executemany("INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        index.commit()
        (count,) = index.execute("SELECT COUNT(*) FROM records").fetchone()
    return count


def _whole_records(path: Path) -> Iterator[tuple[str, str, str, str, int, int, int]]:
    """Give clip, key, split, path, offset, bytes of the example and of the row, up to where the file is cut off."""
    with open(path, "rb") as stream, contextlib.suppress(FrameError):
        frames = read_frames(stream)
        for parts in zip(*[frames] * FRAMES, strict=False):
            (_, header), (offset, example), (_, row) = parts
            fields = json.loads(header)
            yield fields["clip"], fields["key"], fields["split"], str(path), offset, len(example), len(row)


class Finished:
    """The records of finished clips, for a worker."""

    def __init__(self, scratch: Scratch, run: str):
        """Open the index, if there is one, for the runs of a `run_digest`."""
        self._run = run
        self._index: sqlite3.Connection | None = None
        if os.path.exists(scratch.finished):
            uri = f"{Path(scratch.finished).absolute().as_uri()}?mode=ro"
            self._index = sqlite3.connect(uri, uri=True, check_same_thread=False)

    def __bool__(self) -> bool:
        return self._index is not None

    def records(self, clip: str, count: int) -> list[RecordRef]:
        """Return the records of a `clip_digest` if all `count` of them are there, else none."""
        if self._index is None:
            return []
        query = "SELECT key, split, path, offset, example_bytes, row_bytes FROM records WHERE run = ? AND clip = ?"
        found = [RecordRef(*row, reused=True) for row in self._index.execute(query, (self._run, clip))]
        return found if len(found) == count else []
