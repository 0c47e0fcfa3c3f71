"""Datasets as they were published, read without Beam: what they say of themselves, and their records one by one.

Takes a local folder that `pipelines.run.publish` wrote; gives its metadata (`open_dataset`), the rows of
provenance.parquet in their order (`rows`), the record of an id (`find`, `read_record`) and a record's values
(`read_example`). Memory does not grow with the number of records: tables are read a few hundred rows at a time, shards
a record at a time.

Conventions: a record stands in its split's shard `shard` at `position`, both counted from 0 (`Place`).
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from augment.sound.encodings import AUDIO_ENCODINGS
from pipelines.dataset.naming import shard_name
from pipelines.dataset.output import MARKER
from pipelines.files.locations import local_path, locate, nearest
from pipelines.files.tfrecord import FrameError, read_frame, skip_frames
from pipelines.messages import one_line

_ROWS = 500
_NEAREST, _COMPARED = 3, 5000


class DatasetError(ValueError):
    """The folder is no dataset of ours, or has no such record; the message is one line that says what is expected."""


class DamagedError(DatasetError):
    """The folder is a dataset of ours, but something of it is missing or damaged."""


@dataclass(frozen=True)
class Place:
    """Where a record stands: split, number of the shard in it, position in the shard."""

    split: str
    shard: int
    position: int


@dataclass(frozen=True)
class Split:
    """What dataset_info.json says of a split.

    Attributes:
        name: such as "train".
        lengths: number of records of each shard.
        size: bytes of all shards.
    """

    name: str
    lengths: tuple[int, ...]
    size: int


@dataclass(frozen=True, eq=False)
class Dataset:
    """A published dataset, its metadata read.

    Attributes:
        folder: where it is.
        run: run.json's content.
        splits: in the order of their names; none where every clip failed.
        features: `tfds.features.FeaturesDict`, of features.json; None where there are no splits.
    """

    folder: Path
    run: Mapping[str, Any]
    splits: tuple[Split, ...]
    features: Any

    @property
    def labels(self) -> list[str]:
        """The class names in their order."""
        return list(self.features["label"].names or ())

    @property
    def audio_encoding(self) -> str:
        """How the records hold their sound (`augment.sound.encodings`)."""
        return self.run["config"].get("audio_encoding", "float32")

    def shard_path(self, split: str, shard: int) -> Path:
        """Return where a shard's file has to be."""
        count = next(len(each.lengths) for each in self.splits if each.name == split)
        return self.folder / shard_name(self.run["config"]["name"], split, shard, count)


def find_folder(folder: str | os.PathLike[str]) -> Path:
    """Return the folder of a finished run, its files unread; this needs no TensorFlow.

    Raises:
        DatasetError: there is no such folder, or its run has not finished.
    """
    given = os.fspath(folder)
    place = local_path(given)
    if place is None:
        raise DatasetError(f"cannot read the dataset {given!r}: expected a local folder")
    path = Path(place).expanduser()
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        hint = "" if path.exists() else nearest(locate(place))
        raise DatasetError(f"the dataset {given!r} {what}; expected a folder that dreambeam augment wrote{hint}")
    if (path / MARKER).exists() and not (path / "run.json").exists():
        raise DatasetError(f"{given!r} is what a run left that has not finished; expected a dataset: start it again")
    return path


def open_dataset(folder: str | os.PathLike[str]) -> Dataset:
    """Read a dataset's metadata.

    Raises:
        DatasetError: there is no such folder, or it is not a dataset that dreambeam wrote.
        DamagedError: it is one, but its metadata is missing or damaged.
    """
    path = find_folder(folder)
    run = _read_run(path, os.fspath(folder))
    if not (run["splits"] or (path / "dataset_info.json").exists() or (path / "features.json").exists()):
        return Dataset(path, run, (), None)
    return Dataset(path, run, _read_splits(path), _read_features(path))


def rows(dataset: Dataset, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """Give the rows of provenance.parquet in their order, all columns or some.

    Raises:
        DamagedError: the table is missing or damaged, or lacks a column.
    """
    path = dataset.folder / "provenance.parquet"
    try:
        with pq.ParquetFile(path) as file:
            for name in columns or ():
                if name not in file.schema_arrow.names:
                    raise DamagedError(f"{path} has no column {name!r}; run dreambeam augment again")
            for batch in file.iter_batches(batch_size=_ROWS, columns=columns and list(columns)):
                yield from batch.to_pylist()
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise DamagedError(f"{path} cannot be read ({one_line(error)}); run dreambeam augment again") from error


def find(dataset: Dataset, id_: str) -> Place:
    """Return where the record of an id stands.

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


def read_record(dataset: Dataset, place: Place) -> bytes:
    """Read the serialised example that stands at a place; what stands before it is skipped unread.

    Raises:
        DamagedError: the shard is missing or damaged there.
    """
    path = dataset.shard_path(place.split, place.shard)
    try:
        with path.open("rb") as file:
            skip_frames(file, place.position)
            record = read_frame(file)
    except (OSError, FrameError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DamagedError(f"{path}: record {place.position} cannot be read: {reason}") from error
    if record is None:
        raise DamagedError(f"{path}: record {place.position} cannot be read: the file ends before it")
    return record


def wrong_kinds(dataset: Dataset, record: bytes) -> str:
    """Say how a serialised example departs from features.json; "" if it does not."""
    import tensorflow as tf

    kinds = {"string": "bytes_list", "float32": "float_list", "int64": "int64_list"}
    wanted = {name: kinds[spec.dtype.name] for name, spec in dataset.features.tf_example_spec.items()}
    try:
        found = tf.train.Example.FromString(record).features.feature
    except Exception as error:  # noqa: BLE001 - protobuf's, which is no public class
        return f"is no tf.train.Example ({' '.join(str(error).split())})"
    for name in sorted(wanted.keys() | set(found)):
        if name not in found:
            return f"lacks the feature {name!r} of features.json"
        if name not in wanted:
            return f"has the feature {name!r}, which features.json has not"
        kind = found[name].WhichOneof("kind")
        if kind not in (wanted[name], None):
            return f"has the feature {name!r} as {kind}; features.json says {wanted[name]}"
    return ""


def read_example(dataset: Dataset, record: bytes) -> dict[str, Any]:
    """Decode a record by the dataset's features, as TFDS does: NumPy values, and text.

    Raises:
        DamagedError: it does not have these features.
    """
    try:
        example = dataset.features.deserialize_example_np(record)
        return {
            key: value.decode() if isinstance(value, bytes) and key != "audio" else value
            for key, value in example.items()
        }
    except Exception as error:  # TFDS's decoders and protobuf raise what they like
        raise DamagedError(f"a record does not have the features of features.json ({one_line(error)})") from error


def stored_bytes(example: Mapping[str, Any]) -> bytes:
    """Return what a decoded example holds of its sound, as it is hashed: the samples' bytes, or those of a file."""
    audio = example["audio"]
    return audio if isinstance(audio, bytes) else np.ascontiguousarray(audio).tobytes()


def stored_samples(dataset: Dataset, example: Mapping[str, Any]) -> np.ndarray:
    """Return the sound that a decoded example holds: float32 [samples, channels].

    Raises:
        DamagedError: it cannot be decoded.
    """
    try:
        samples = AUDIO_ENCODINGS[dataset.audio_encoding].restore(example["audio"])
    except (soundfile.SoundFileError, KeyError, TypeError) as error:
        raise DamagedError(f"its audio is not {dataset.audio_encoding} ({one_line(error)})") from error
    return samples.reshape(len(samples), -1)


def _read_run(path: Path, given: str) -> dict[str, Any]:
    """Read run.json, and see that it is ours."""
    try:
        run = json.loads((path / "run.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DatasetError(f"{given!r} has no run.json; expected a folder that dreambeam augment wrote") from error
    except (OSError, ValueError) as error:
        raise DamagedError(f"{path / 'run.json'} cannot be read ({one_line(error)})") from error
    made_by = run.get("versions") if isinstance(run, dict) else None
    if not isinstance(made_by, dict) or "dreambeam" not in made_by:
        raise DatasetError(f"the run.json of {given!r} is another program's; expected a dataset of dreambeam augment")
    wanted = {"config": dict, "counts": dict, "splits": list, "recipes": dict, "failures_by_stage": dict}
    for key, kind in wanted.items():
        if not isinstance(run.get(key), kind):
            raise DamagedError(f"{path / 'run.json'} has no {key!r} as dreambeam augment writes it")
    encoding = run["config"].get("audio_encoding", "float32")
    if not isinstance(encoding, str) or encoding not in AUDIO_ENCODINGS:
        raise DamagedError(
            f"{path / 'run.json'} says audio_encoding {encoding!r}; expected {', '.join(AUDIO_ENCODINGS)}"
        )
    if not isinstance(run["config"].get("name"), str):
        raise DamagedError(f"{path / 'run.json'} does not tell the dataset's name (config.name)")
    return run


def _read_splits(path: Path) -> tuple[Split, ...]:
    info = path / "dataset_info.json"
    try:
        splits = [
            Split(str(each["name"]), tuple(map(int, each.get("shardLengths", ()))), int(each.get("numBytes", 0)))
            for each in json.loads(info.read_text(encoding="utf-8")).get("splits", ())
        ]
    except FileNotFoundError as error:
        raise DamagedError(f"{info} is missing; run dreambeam augment again") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"{info} cannot be read ({one_line(error)}); run dreambeam augment again") from error
    return tuple(sorted(splits, key=lambda split: split.name))


def _read_features(path: Path) -> Any:
    import tensorflow_datasets as tfds

    if not (path / "features.json").exists():
        raise DamagedError(f"{path / 'features.json'} is missing; run dreambeam augment again")
    try:
        features: Any = tfds.features.FeaturesDict.from_config(str(path))
        features["label"].names  # noqa: B018 - read from a file beside it
        return features
    except Exception as error:  # JSON, protobuf and TFDS's own
        raise DamagedError(
            f"{path / 'features.json'} cannot be read ({one_line(error)}); run dreambeam augment again"
        ) from error


def _nearest(wanted: str, ids: Iterable[str]) -> list[str]:
    """Return the ids that may have been meant: those with the same file name, then those that are spelt alike.

    Of either so many are compared as take about a second.
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
