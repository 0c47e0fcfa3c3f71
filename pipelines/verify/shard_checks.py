"""Checks of shards: every record of every shard, together with its row of provenance.parquet.

Both are in the same order: by split, shard and position. Of a damaged shard, the readable records are checked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from augment.determinism.arithmetic import Arithmetic
from pipelines.clips.whole_files import DEMO
from pipelines.dataset.provenance import read_provenance
from pipelines.dataset.reader import DamagedError, Place, rows
from pipelines.dataset.record_reader import read_example, stored_samples
from pipelines.dataset.schema import ORIGINAL
from pipelines.files.tfrecord import FrameError, RecordError, read_frame
from pipelines.messages import one_line, printable
from pipelines.verify.findings import UNKNOWN, Verification
from pipelines.verify.provenance_checks import PROVENANCE_CHECKS
from pipelines.verify.record_checks import COLUMNS, EXAMPLE_CHECKS, Entry, differences, wrong_features


def check_records(run: Verification) -> None:
    """Each shard has its number of records, each of them whole and equal to its row of provenance.parquet."""
    dataset = run.dataset
    places = [(split, shard) for split in dataset.splits for shard in range(len(split.lengths))]
    paths = [dataset.shard_path(split.name, shard) for split, shard in places]
    total = sum(path.stat().st_size for path in paths if path.is_file())
    table = _Table(run)
    for (split, shard), path in zip(places, paths, strict=True):
        if not path.is_file():
            table.skip(split.name, shard)
            run.tally["unreadable"] += 1
            continue
        run.tally["shards"] += 1
        position, key = 0, ""
        for record in _frames(run, split.name, shard, total):
            place = Place(split.name, shard, position)
            row = table.take(place)
            if record is None:
                run.tally["unreadable"] += 1
            else:
                key = _check_record(run, place, record, row, key)
            position += 1
        if position != split.lengths[shard]:
            run.problems.add(path.name, f"it has {position} records, dataset_info.json says {split.lengths[shard]}")
        run.tally["records"] += position
    table.finish()


def _frames(run: Verification, split: str, shard: int, total: int) -> Iterator[bytes | None]:
    """Give the records of a shard; None for a damaged one. A damaged length ends the shard."""
    path = run.dataset.shard_path(split, shard)
    position = 0
    with path.open("rb") as file:
        before = run.tally["bytes"]
        while True:
            record = None
            try:
                record = read_frame(file)
                if record is None:
                    break
            except FrameError as error:
                run.problems.add(f"{path.name}, record {position}", str(error))
                if not isinstance(error, RecordError):
                    run.tally["unreadable"] += 1
                    break
            yield record
            position += 1
            run.tally["bytes"] = before + file.tell()
            run.on_progress("records", run.tally["bytes"], total)


def _check_record(run: Verification, place: Place, record: bytes, row: dict[str, Any] | None, previous: str) -> str:
    """Check a record; return the key that orders it in its shard."""
    path = run.dataset.shard_path(place.split, place.shard)
    where = f"{path.name}, record {place.position}"
    try:
        if wrong := wrong_features(run.dataset, record):
            raise DamagedError(wrong)
        example = read_example(run.dataset, record)
        samples = stored_samples(run.dataset, example)
    except DamagedError as error:
        run.problems.add(where, str(error))
        run.tally["unreadable"] += 1
        return previous
    where += f" {example['id']!r}"
    provenance, faults = read_provenance(example["provenance"], original=example["recipe"] == ORIGINAL)
    found = [f"its provenance {each}" for each in faults]
    entry = Entry(run.dataset, place, example, samples, provenance)
    for check in EXAMPLE_CHECKS + (PROVENANCE_CHECKS if provenance else ()):
        found.extend(check(entry))
    if row is not None:
        found.extend(differences(entry, row))
    key = hashlib.sha256(example["id"].encode()).hexdigest()
    count = next(len(split.lengths) for split in run.dataset.splits if split.name == place.split)
    if not run.notes.is_new(example["id"]):
        found.append("another record has the same id")
    if int(key, 16) % count != place.shard:
        found.append(f"by its id it belongs in shard {int(key, 16) % count}")
    if key < previous:
        found.append("it is out of the order of the ids' hashes")
    for what in found:
        run.problems.add(where, what)
    run.tally[f"{example['recipe']}/dreams"] += 1
    run.tally[f"{example['recipe']}/reached"] += int(example["reached"])
    if provenance:
        _note(run, example["id"], provenance)
    return key


def _note(run: Verification, id_: str, provenance: Mapping[str, Any]) -> None:
    """Note the arithmetic and the sources of a record."""
    if provenance["recipe"] is not None:
        known = provenance.get("arithmetic")
        run.made_on[printable(str(Arithmetic(**known))) if known else UNKNOWN] += 1
    source, sound = provenance["source"], (provenance["recipe"] or {}).get("sound")
    run.notes.add_source(source["uri"], source["sha256"], "source", id_, source.get("record_offset"))
    if isinstance(sound, str) and sound not in ("", DEMO) and provenance["sound_sha256"]:
        run.notes.add_source(sound, provenance["sound_sha256"], "target sound", id_)


class _Table:
    """The rows of provenance.parquet, taken record by record."""

    def __init__(self, run: Verification):
        self._run = run
        self._order = {split.name: number for number, split in enumerate(run.dataset.splits)}
        self._rows = self._ordered()
        self._broken = False
        self._next = next(self._rows, None)

    def take(self, place: Place) -> dict[str, Any] | None:
        """Return the row of a record, None if there is none; rows before it have no record."""
        key = (self._order[place.split], place.shard, place.position)
        while self._next is not None and self._next[0] < key:
            self._surplus()
        if self._next is not None and self._next[0] == key:
            row = self._next[1]
            self._next = next(self._rows, None)
            return row
        if not self._broken:
            path = self._run.dataset.shard_path(place.split, place.shard)
            self._run.problems.add("provenance.parquet", f"it has no row for {path.name}, record {place.position}")
        return None

    def skip(self, split: str, shard: int) -> None:
        """Pass over the rows of a shard that is missing."""
        while self._next is not None and self._next[0][:2] <= (self._order[split], shard):
            self._next = next(self._rows, None)

    def finish(self) -> None:
        """Report the rows that are left."""
        while self._next is not None:
            self._surplus()

    def _surplus(self) -> None:
        assert self._next is not None
        _, row = self._next
        at = f"{row['split']}, shard {row['shard']}, record {row['position']}"
        self._run.problems.add("provenance.parquet", f"its row {row['id']!r} has no record: there is none at {at}")
        self._next = next(self._rows, None)

    def _ordered(self) -> Iterator[tuple[tuple[int, int, int], dict[str, Any]]]:
        """Give the rows that are in order, by place."""
        previous = (-1, -1, -1)
        path = self._run.dataset.folder / "provenance.parquet"
        try:
            names = pq.read_schema(path).names
            if missing := [name for name in COLUMNS if name not in names]:
                raise DamagedError(f"it lacks the columns {', '.join(missing)}")
            for row in rows(self._run.dataset):
                split, shard, position = row["split"], row["shard"], row["position"]
                if split not in self._order or shard is None or position is None:
                    self._run.problems.add("provenance.parquet", f"its row {row['id']!r} is of no shard")
                    continue
                key = (self._order[split], shard, position)
                if key <= previous:
                    self._run.problems.add("provenance.parquet", f"its row {row['id']!r} is out of order")
                    continue
                previous = key
                yield key, row
        except (OSError, ValueError, pa.ArrowException) as error:  # also names that are not UTF-8
            self._broken = True
            self._run.problems.add("provenance.parquet", one_line(error))
