"""Datasets as they were published: their metadata, and where their records are. No Beam.

Takes a local folder that `pipelines.run.publish` wrote; gives its metadata (`open_dataset`), the rows of
provenance.parquet in their order (`rows`), and the place of a record by its id (`find`). `pipelines.dataset
.record_reader` reads the records. Memory does not grow with the number of records.

Conventions: a record is in shard `shard` of its split at `position`, both counted from 0 (`Place`).
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from augment.models.model_files import told_classes
from augment.sound.encodings import AUDIO_ENCODINGS
from augment.targets.classes import ClassList
from pipelines.dataset.naming import shard_name
from pipelines.dataset.output import MARKER
from pipelines.files.locations import local_path, locate, nearest
from pipelines.messages import one_line

_ROWS = 500
_NEAREST, _COMPARED = 3, 5000

_AGAIN = "run dreambeam augment again"


class DatasetError(ValueError):
    """The folder is no dataset of ours, or lacks what is asked for; the message is one line that says what to do."""


class DamagedError(DatasetError):
    """The folder is a dataset of ours, but a part of it is missing or damaged."""


@dataclass(frozen=True)
class Place:
    """Where a record is: split, number of the shard in it, position in the shard."""

    split: str
    shard: int
    position: int


@dataclass(frozen=True)
class Split:
    """A split by dataset_info.json."""

    name: str  # such as "train"
    lengths: tuple[int, ...]  # number of records of each shard
    size: int  # bytes of all shards


@dataclass(frozen=True)
class Dataset:
    """A published dataset. Its metadata is read when it is first used; only the folder is pickled."""

    folder: Path  # absolute path

    def __reduce__(self) -> tuple[Any, ...]:
        """Let workers read the metadata themselves."""
        return Dataset, (self.folder,)

    @cached_property
    def run(self) -> dict[str, Any]:
        """run.json's content."""
        return _read_run(self.folder)

    @cached_property
    def splits(self) -> tuple[Split, ...]:
        """In the order of their names; none where every clip failed."""
        return _read_splits(self.folder) if self._has_records else ()

    @cached_property
    def features(self) -> Any:
        """`tfds.features.FeaturesDict`, of features.json; None where there are no splits."""
        return _read_features(self.folder) if self._has_records else None

    @property
    def _has_records(self) -> bool:
        files = ("dataset_info.json", "features.json")
        return bool(self.run["splits"]) or any((self.folder / name).exists() for name in files)

    @property
    def path(self) -> str:
        """The folder as text."""
        return str(self.folder)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @cached_property
    def labels(self) -> list[str]:
        """The names of the labels, by number."""
        return list(self.features["label"].names or ())

    @property
    def label_classes(self) -> dict[str, Any]:
        """The class that a label means, by label, as far as the run's configuration says."""
        return (self.run["config"].get("target") or {}).get("labels", {})

    @cached_property
    def classes(self) -> ClassList:
        """The classes of the model that the clips were dreamed with."""
        return told_classes(self.run)

    @property
    def model_identity(self) -> str:
        """The identity of that model's weights."""
        return str(self.run.get("model", {}).get("identity", ""))

    @property
    def audio_encoding(self) -> str:
        """How the records store audio, a key of `AUDIO_ENCODINGS`."""
        return self.run["config"].get("audio_encoding", "float32")

    @cached_property
    def shards(self) -> tuple[str, ...]:
        """Paths of the files, in order of splits and shards."""
        return tuple(
            str(self.shard_path(split.name, shard)) for split in self.splits for shard in range(len(split.lengths))
        )

    @property
    def records(self) -> int:
        """The number of records, by dataset_info.json."""
        return sum(sum(split.lengths) for split in self.splits)

    def shard_path(self, split: str, shard: int) -> Path:
        """Return the path of a shard. Raises `DamagedError` if dataset_info.json has no such split."""
        count = next((len(each.lengths) for each in self.splits if each.name == split), None)
        if count is None or not isinstance(shard, int):
            raise DamagedError(f"{self.folder / 'dataset_info.json'} has no shard {shard!r} of {split!r}; {_AGAIN}")
        return self.folder / shard_name(self.run["config"]["name"], split, shard, count)


def find_folder(folder: str | os.PathLike[str]) -> Path:
    """Return the folder of a finished run, its files unread; this needs no TensorFlow.

    Raises `DatasetError` if there is no such folder, or its run has not finished.
    """
    given = os.fspath(folder)
    place = local_path(given)
    if place is None:
        raise DatasetError(f"cannot read the dataset {given!r}: expected a local folder")
    path = Path(place).expanduser().absolute()
    if not path.is_dir():
        what = "is a file" if path.exists() else f"does not exist{nearest(locate(place))}"
        raise DatasetError(f"the dataset {given!r} {what}; expected a folder that dreambeam augment wrote")
    if (path / MARKER).exists() and not (path / "run.json").exists():
        raise DatasetError(f"{given!r} belongs to a run that has not finished; expected a dataset: start it again")
    return path


def check_records(folder: str | os.PathLike[str]) -> Dataset:
    """Return a dataset that has records; this needs no TensorFlow.

    Raises `DatasetError` if there is none, it is not one of dreambeam's, or all its clips failed.
    """
    dataset = Dataset(find_folder(folder))
    counts = dataset.run["counts"]
    if not (dataset.folder / "dataset_info.json").exists() and not counts.get("records"):
        raise DatasetError(
            f"dataset {os.fspath(folder)!r} holds no records: all {counts.get('clips') or counts.get('failures', 0)} "
            f"clips failed (see {dataset.folder / 'failures.jsonl'})"
        )
    return dataset


def open_dataset(folder: str | os.PathLike[str], *, with_records: bool = False) -> Dataset:
    """Read a dataset's metadata; `with_records` refuses a dataset without records.

    Raises:
        DatasetError: there is no such folder, or it is not a dataset that dreambeam wrote.
        DamagedError: it is one, but its metadata is missing or damaged.
    """
    dataset = check_records(folder) if with_records else Dataset(find_folder(folder))
    _ = dataset.run, dataset.splits, dataset.features
    return dataset


def rows(dataset: Dataset, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """Give the rows of provenance.parquet in their order, all columns or some.

    Raises `DamagedError` if the table is missing or damaged, or lacks a column.
    """
    path = dataset.folder / "provenance.parquet"
    try:
        with pq.ParquetFile(path) as file:
            for name in columns or ():
                if name not in file.schema_arrow.names:
                    raise DamagedError(f"{path} has no column {name!r}; {_AGAIN}")
            for batch in file.iter_batches(batch_size=_ROWS, columns=columns and list(columns)):
                yield from batch.to_pylist()
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise DamagedError(f"{path} cannot be read ({one_line(error)}); {_AGAIN}") from error


def find(dataset: Dataset, id_: str) -> Place:
    """Return the place of the record of an id.

    Raises:
        DatasetError: there is none; the message gives the nearest ids.
        DamagedError: the table of the records cannot be read.
    """
    for row in rows(dataset, ("id", "split", "shard", "position")):
        if row["id"] == id_:
            return Place(row["split"], row["shard"], row["position"])
    near = _nearest(id_, (row["id"] for row in rows(dataset, ("id",))))
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else "; provenance.parquet lists the ids"
    raise DatasetError(f"{str(dataset.folder)!r} has no record {id_!r}{hint}")


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DamagedError(f"{path} is missing; {_AGAIN}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedError(f"{path} cannot be read ({one_line(error)}); {_AGAIN}") from error


def _read_run(path: Path) -> dict[str, Any]:
    """Read run.json, and check that it is ours."""
    file = path / "run.json"
    if not file.exists():
        raise DatasetError(f"{str(path)!r} has no run.json; expected a folder that dreambeam augment wrote")
    run = _read_json(file)
    made_by = run.get("versions") if isinstance(run, dict) else None
    if not isinstance(made_by, dict) or "dreambeam" not in made_by:
        raise DatasetError(
            f"the run.json of {str(path)!r} is another program's; expected a dataset of dreambeam augment"
        )
    wanted = {"config": dict, "counts": dict, "splits": list, "recipes": dict, "failures_by_stage": dict, "model": dict}
    for key, kind in wanted.items():
        if not isinstance(run.get(key), kind):
            raise DamagedError(f"{file} has no {key!r} as dreambeam augment writes it")
    encoding = run["config"].get("audio_encoding", "float32")
    if not isinstance(encoding, str) or encoding not in AUDIO_ENCODINGS:
        raise DamagedError(f"{file} says audio_encoding {encoding!r}; expected {', '.join(AUDIO_ENCODINGS)}")
    if not isinstance(run["config"].get("name"), str):
        raise DamagedError(f"{file} lacks the dataset's name (config.name)")
    return run


def _read_splits(path: Path) -> tuple[Split, ...]:
    info = path / "dataset_info.json"
    content = _read_json(info)
    try:
        splits = [
            Split(str(each["name"]), tuple(map(int, each.get("shardLengths", ()))), int(each.get("numBytes", 0)))
            for each in content.get("splits", ())
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"{info} cannot be read ({one_line(error)}); {_AGAIN}") from error
    return tuple(sorted(splits, key=lambda split: split.name))


def _read_features(path: Path) -> Any:
    import tensorflow_datasets as tfds

    file = path / "features.json"
    if not file.exists():
        raise DamagedError(f"{file} is missing; {_AGAIN}")
    try:
        features: Any = tfds.features.FeaturesDict.from_config(str(path))
        features["label"].names  # noqa: B018 - read from a file beside it
        return features
    except Exception as error:  # JSON, protobuf and TFDS's own
        raise DamagedError(f"{file} cannot be read ({one_line(error)}); {_AGAIN}") from error


def _nearest(wanted: str, ids: Iterable[str]) -> list[str]:
    """Return the ids that may have been meant: those with the same file name, then those that are spelt alike.

    Of either only as many are compared as take about a second.
    """
    name = wanted.partition(":")[0].partition("#")[0].rpartition("/")[2]
    related: list[str] = []
    others: list[str] = []
    for each in ids:
        group = related if name in each else others
        if len(group) < _COMPARED:
            group.append(each)
    own = [each for each in related if each.startswith((f"{wanted}:", f"{wanted}#"))][:_NEAREST]
    alike = difflib.get_close_matches(wanted, related, n=_NEAREST, cutoff=0.3)
    return list(dict.fromkeys([*own, *alike, *difflib.get_close_matches(wanted, others, n=_NEAREST)]))[:_NEAREST]
