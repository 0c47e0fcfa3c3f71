"""Datasets that are evaluated: what is in them, and one record at a time.

A dataset is a TFDS folder as ``dreambeam augment`` writes it, with run.json beside the shards. Shards are walked record
by record for references (`Reference`: where a record stands and what it is of, no samples), which may cross a shuffle;
a worker then reads single records by their references (`read_example`).

Whatever the encoding of the audio, `samples` gives the sound, and `as_stored` gives what is left of a sound that is
stored so.
"""

from __future__ import annotations

import functools
import io
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import soundfile

from augment.classes import ClassList, yamnet_classes
from augment.loading import told_classes

ORIGINAL = "original"
"""What stands in place of the recipe's name in the record of a clip as it came."""

_HEAD, _TAIL = 12, 4  # bytes around a record: its length and the length's checksum, the record's checksum


class DatasetError(ValueError):
    """A dataset cannot be evaluated; the message is one line that says what to do."""


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
        labels: names of the labels, by number.
        label_classes: the class of YAMNet that a label means, by label, as far as the run was told.
        encoding: of the audio, a key of `ENCODINGS`.
        model: identity of what was dreamed through.
        classes: of that, which targets are counted by.
        run: run.json's content.
    """

    path: str
    shards: tuple[str, ...]
    labels: tuple[str, ...]
    label_classes: tuple[tuple[str, str], ...]
    encoding: str
    model: str
    classes: ClassList = field(default_factory=yamnet_classes)

    @property
    def name(self) -> str:
        """The folder's name."""
        return Path(self.path).name


def open_dataset(path: str) -> Dataset:
    """Look at a dataset.

    Raises:
        DatasetError: there is none, it is not one of dreambeam's, or it holds no records.
    """
    folder = Path(path).expanduser().absolute()
    if not folder.is_dir():
        raise DatasetError(f"dataset {path!r} is not a folder: give one that dreambeam augment has written")
    try:
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        config, counts, model = run["config"], run["counts"], run["model"]["identity"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{path!r} is not a dataset of dreambeam's (no run.json of its own): give one that dreambeam augment wrote"
        ) from error
    if not (folder / "dataset_info.json").exists():
        raise DatasetError(
            f"dataset {path!r} holds no records: all {counts.get('clips') or counts.get('failures', 0)} clips failed "
            f"(see {folder / 'failures.jsonl'})"
        )
    encoding = config.get("audio_encoding", "float32")
    if encoding not in ENCODINGS:
        raise DatasetError(f"dataset {path!r} stores audio as {encoding!r}; known are {', '.join(ENCODINGS)}")
    builder = _builder(str(folder))
    shards = tuple(str(file) for name in sorted(builder.info.splits) for file in builder.info.splits[name].filepaths)
    return Dataset(
        path=str(folder),
        shards=shards,
        labels=tuple(builder.info.features["label"].names or ()),
        label_classes=tuple(sorted((config.get("target") or {}).get("labels", {}).items())),
        encoding=encoding,
        model=model,
        classes=told_classes(run),
    )


def walk(shard: str) -> Iterator[Reference]:
    """Give the references of a shard's records, in order.

    Raises:
        DatasetError: the file is cut off or damaged.
    """
    import tensorflow as tf

    with tf.io.gfile.GFile(shard, "rb") as file:
        offset = 0
        while head := file.read(_HEAD):
            if len(head) < _HEAD or _masked_crc(head[:8]) != head[8:]:
                raise DatasetError(f"{shard}: no record begins at byte {offset}; copy the dataset again")
            (length,) = struct.unpack("<Q", head[:8])
            record, tail = file.read(length), file.read(_TAIL)
            _check(record, tail, length, shard, offset)
            features = tf.train.Example.FromString(record).features.feature
            id_, source, recipe = (features[key].bytes_list.value[0].decode() for key in ("id", "source_id", "recipe"))
            yield Reference(shard, offset + _HEAD, length, id_, source, recipe == ORIGINAL)
            offset += _HEAD + length + _TAIL


def read_example(dataset: str, reference: Reference) -> dict[str, Any]:
    """Read one record: its features as NumPy values, text as str, its audio as `samples` gives it.

    Args:
        dataset: path of the dataset.
        reference: of the record.

    Raises:
        DatasetError: it is damaged.
    """
    import tensorflow as tf

    with tf.io.gfile.GFile(reference.shard, "rb") as file:
        file.seek(reference.offset)
        record, tail = file.read(reference.length), file.read(_TAIL)
    _check(record, tail, reference.length, reference.shard, reference.offset - _HEAD)
    example = _builder(dataset).info.features.deserialize_example(record)
    values = {key: _value(value) for key, value in example.items() if key != "audio"}
    return {**values, "audio": samples(example["audio"].numpy())}


def samples(audio: Any) -> np.ndarray:
    """Return the sound of a record's ``audio``: float32 [samples, channels], full scale is 1.

    Args:
        audio: as TFDS gives it: float32 or integers, [samples] or [samples, channels], or the bytes of a sound file.
    """
    if isinstance(audio, bytes):
        return soundfile.read(io.BytesIO(audio), dtype="float32", always_2d=True)[0]
    sound = audio if audio.ndim == 2 else audio[:, None]
    if np.issubdtype(sound.dtype, np.integer):
        return (sound / np.float32(np.iinfo(sound.dtype).max + 1.0)).astype(np.float32)
    return np.asarray(sound, np.float32)


def as_stored(sound: np.ndarray, encoding: str) -> np.ndarray:
    """Return what is left of a sound that is stored in an encoding, float32 as it came."""
    bits = ENCODINGS[encoding]
    if bits is None:
        return np.asarray(sound, np.float32)
    full = float(1 << (bits - 1))
    return (np.clip(np.rint(sound.astype(np.float64) * full), -full, full - 1) / full).astype(np.float32)


ENCODINGS: dict[str, int | None] = {"float32": None, "int16": 16, "flac": 24}
"""How audio is stored, with the bits that samples are rounded to; None keeps them."""


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


def _check(record: bytes, tail: bytes, length: int, shard: str, offset: int) -> None:
    if len(record) < length or len(tail) < _TAIL:
        raise DatasetError(f"{shard}: the record at byte {offset} is cut off; copy the dataset again")
    if _masked_crc(record) != tail:
        raise DatasetError(f"{shard}: the record at byte {offset} is damaged; copy the dataset again")


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)
