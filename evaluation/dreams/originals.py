"""Datasets that are evaluated: what is in them, and one record at a time.

A dataset is a TFDS folder as ``dreambeam augment`` writes it, with run.json beside the shards. Shards are walked record
by record for references (`Reference`: where a record stands and what it is of, no samples), which may cross a shuffle;
a worker then reads single records by their references (`read_example`).

Whatever the encoding of the audio (`augment.sound.encodings`), a record that is read has its sound.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from augment.models.model_files import told_classes
from augment.sound.encodings import AUDIO_ENCODINGS
from augment.targets.classes import ClassList, yamnet_classes
from pipelines.files.tfrecord import HEAD_BYTES, FrameError, read_frame, read_frames

ORIGINAL = "original"
"""What stands in place of the recipe's name in the record of a clip as it came."""


class DatasetError(ValueError):
    """A dataset cannot be evaluated; the message is one line that says what to do."""


class DamagedError(RuntimeError):
    """A dataset's files are not as they were written; the message is one line that says where."""


class MissingSourceError(ValueError):
    """A source clip cannot be read; the message is one line."""


ReadSource = Callable[[Mapping[str, Any]], tuple[np.ndarray, int]]
"""Reads what provenance calls the source (uri, sha256, start, stop ...): float32 [samples, channels], and its Hz.

Raises `MissingSourceError` where it is not there or is another file by now.
"""


@dataclass(frozen=True)
class Reference:
    """One record, unread.

    Attributes:
        shard: path of its file.
        offset: of its first byte.
        length: bytes.
        id: of the record.
        source_id: of the clip that it is of.
        original: it is that clip as it came.
    """

    shard: str
    offset: int
    length: int
    id: str
    source_id: str
    original: bool


@dataclass(frozen=True)
class Dataset:
    """A dataset's place and what holds for all its records.

    Attributes:
        path: of the folder.
        shards: paths of its files, in order.
        records: that they hold.
        labels: names of the labels, by number.
        label_classes: the class of YAMNet that a label means, by label, as far as the run was told.
        encoding: of the audio, a key of `AUDIO_ENCODINGS`.
        model: identity of what was dreamed through.
        classes: of that, which targets are counted by.
        run: run.json's content.
    """

    path: str
    shards: tuple[str, ...]
    records: int
    labels: tuple[str, ...]
    label_classes: tuple[tuple[str, str], ...]
    encoding: str
    model: str
    classes: ClassList = field(default_factory=yamnet_classes)

    @property
    def name(self) -> str:
        """The folder's name."""
        return Path(self.path).name


def find_run(path: str) -> tuple[Path, Mapping[str, Any]]:
    """Find a dataset that holds records; return its folder and run.json's content. This needs no TensorFlow.

    Raises:
        DatasetError: there is none, it is not one of dreambeam's, or it holds no records.
    """
    folder = Path(path).expanduser().absolute()
    if not folder.is_dir():
        raise DatasetError(f"dataset {path!r} is not a folder: give one that dreambeam augment has written")
    try:
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        _, counts, _ = run["config"], run["counts"], run["model"]["identity"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{path!r} is not a dataset of dreambeam's (no run.json of its own): give one that dreambeam augment wrote"
        ) from error
    if not (folder / "dataset_info.json").exists():
        raise DatasetError(
            f"dataset {path!r} holds no records: all {counts.get('clips') or counts.get('failures', 0)} clips failed "
            f"(see {folder / 'failures.jsonl'})"
        )
    return folder, run


def open_dataset(path: str) -> Dataset:
    """Look at a dataset.

    Raises:
        DatasetError: there is none, it is not one of dreambeam's, or it holds no records.
    """
    folder, run = find_run(path)
    config, model = run["config"], run["model"]["identity"]
    encoding = config.get("audio_encoding", "float32")
    if encoding not in AUDIO_ENCODINGS:
        raise DatasetError(f"dataset {path!r} stores audio as {encoding!r}; known are {', '.join(AUDIO_ENCODINGS)}")
    builder = _builder(str(folder))
    shards = tuple(str(file) for name in sorted(builder.info.splits) for file in builder.info.splits[name].filepaths)
    return Dataset(
        path=str(folder),
        shards=shards,
        records=builder.info.splits.total_num_examples,
        labels=tuple(builder.info.features["label"].names or ()),
        label_classes=tuple(sorted((config.get("target") or {}).get("labels", {}).items())),
        encoding=encoding,
        model=model,
        classes=told_classes(run),
    )


def walk(shard: str) -> Iterator[Reference]:
    """Give the references of a shard's records, in order.

    Raises:
        DamagedError: the file is cut off or damaged.
    """
    import tensorflow as tf

    number = 0
    try:
        with tf.io.gfile.GFile(shard, "rb") as file:
            for offset, record in read_frames(file):
                features = tf.train.Example.FromString(record).features.feature
                id_, source, recipe = (features[key].bytes_list.value[0].decode() for key in _NAMES)
                yield Reference(shard, offset, len(record), id_, source, recipe == ORIGINAL)
                number += 1
    except FrameError as error:
        raise DamagedError(_damaged(shard, f"record {number}", error)) from error


def read_example(dataset: Dataset, reference: Reference) -> dict[str, Any]:
    """Read one record: its features as NumPy values, text as str, its audio as float32 [samples, channels].

    Raises:
        DatasetError: it is damaged.
    """
    import tensorflow as tf

    try:
        with tf.io.gfile.GFile(reference.shard, "rb") as file:
            file.seek(reference.offset - HEAD_BYTES)
            record = read_frame(file)
        if record is None:
            raise FrameError("the file ends before it")
    except FrameError as error:
        raise DatasetError(_damaged(reference.shard, reference.id, error)) from error
    example = _builder(dataset.path).info.features.deserialize_example(record)
    values = {key: _value(value) for key, value in example.items() if key != "audio"}
    sound = AUDIO_ENCODINGS[dataset.encoding].restore(example["audio"].numpy())
    return {**values, "audio": sound if sound.ndim == 2 else sound[:, None]}


_NAMES = ("id", "source_id", "recipe")


@functools.lru_cache(maxsize=16)
def _builder(path: str) -> Any:
    import tensorflow_datasets as tfds

    try:
        return tfds.builder_from_directory(path)
    except Exception as error:  # TFDS raises whatever its parsers do
        reason = " ".join(str(error).split())[:200]
        raise DatasetError(f"{path!r} cannot be read by TFDS ({reason}); make the dataset again") from error


def _value(value: Any) -> Any:
    array = value.numpy()
    return array.decode() if isinstance(array, bytes) else array


def _damaged(shard: str, what: str, error: FrameError) -> str:
    return f"{shard}, {what}: {error}; copy the dataset again, or see what is whole with dreambeam verify"
