"""The walk of a verification: every record of every shard, in step with the rows of provenance.parquet.

Both stand in the same order: by split, shard and position. What can be read of a damaged shard is checked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from augment.determinism.arithmetic import Arithmetic
from pipelines.clips.whole_files import DEMO
from pipelines.dataset.findings import UNKNOWN, Verification
from pipelines.dataset.reader import DamagedError, Place, read_example, rows, stored_samples, wrong_kinds
from pipelines.dataset.record_checks import (
    COLUMNS,
    EXAMPLE_CHECKS,
    PROVENANCE_CHECKS,
    Entry,
    differences,
    provenance_of,
)
from pipelines.files.tfrecord import FrameError, RecordError, read_frame
from pipelines.messages import one_line


def check_records(run: Verification) -> None:
    """Each shard has its number of records, each of them whole and as its row of provenance.parquet says."""
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
    """Give the records of a shard; None for one that is damaged. Where the place is lost, the shard ends."""
    path = run.dataset.shard_path(split, shard)
    position = 0
    with path.open("rb") as file:
        before = run.tally["bytes"]
        while True:
            try:
                record = read_frame(file)
            except RecordError as error:
                run.problems.add(f"{path.name}, record {position}", str(error))
                yield None
            except FrameError as error:
                run.problems.add(f"{path.name}, record {position}", str(error))
                run.tally["unreadable"] += 1
                break
            else:
                if record is None:
                    break
                yield record
            position += 1
            run.tally["bytes"] = before + file.tell()
            run.tell("records", run.tally["bytes"], total)


def _check_record(run: Verification, place: Place, record: bytes, row: dict[str, Any] | None, previous: str) -> str:
    """Check a record; return the key that orders it in its shard."""
    path = run.dataset.shard_path(place.split, place.shard)
    where = f"{path.name}, record {place.position}"
    if wrong := wrong_kinds(run.dataset, record):
        run.problems.add(where, wrong)
        run.tally["unreadable"] += 1
        return previous
    try:
        example = read_example(run.dataset, record)
        samples = stored_samples(run.dataset, example)
    except DamagedError as error:
        run.problems.add(where, str(error))
        run.tally["unreadable"] += 1
        return previous
    where += f" {example['id']!r}"
    told, found = provenance_of(example)
    entry = Entry(run.dataset, place, example, samples, told)
    for check in EXAMPLE_CHECKS + (PROVENANCE_CHECKS if told else ()):
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
        found.append("it stands out of the order of the ids' hashes")
    for what in found:
        run.problems.add(where, what)
    run.tally[f"{example['recipe']}/dreams"] += 1
    run.tally[f"{example['recipe']}/reached"] += int(example["reached"])
    if told:
        if told["recipe"] is not None:
            run.made_on[str(Arithmetic(**told["arithmetic"])) if "arithmetic" in told else UNKNOWN] += 1
        source, recipe = told["source"], told["recipe"] or {}
        run.notes.add_source(source["uri"], source["sha256"], "source", example["id"], source.get("record_offset"))
        if recipe.get("sound") and recipe["sound"] != DEMO and told["sound_sha256"]:
            run.notes.add_source(recipe["sound"], told["sound_sha256"], "target sound", example["id"])
    return key


class _Table:
    """The rows of provenance.parquet, taken in step with the records."""

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
        """Name the rows that are left."""
        while self._next is not None:
            self._surplus()

    def _surplus(self) -> None:
        assert self._next is not None
        _, row = self._next
        at = f"{row['split']}, shard {row['shard']}, record {row['position']}"
        self._run.problems.add("provenance.parquet", f"its row {row['id']!r} has no record: there is none at {at}")
        self._next = next(self._rows, None)

    def _ordered(self) -> Iterator[tuple[tuple[int, int, int], dict[str, Any]]]:
        """Give the rows that stand in order, by place."""
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
                    self._run.problems.add("provenance.parquet", f"its row {row['id']!r} stands out of order")
                    continue
                previous = key
                yield key, row
        except (OSError, ValueError, pa.ArrowException) as error:  # also names that are not UTF-8
            self._broken = True
            self._run.problems.add("provenance.parquet", one_line(error))
