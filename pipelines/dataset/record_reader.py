"""The records of a dataset, one at a time: by their place, by their offset in a shard, or shard by shard.

A record that is not as it was written is a `DamagedError`. Nothing here needs Beam, except for shards of other file
systems.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile

from augment.sound.encodings import AUDIO_ENCODINGS
from pipelines.dataset import reader
from pipelines.dataset.reader import DamagedError, Dataset, Place
from pipelines.dataset.schema import ORIGINAL
from pipelines.files import raw_records
from pipelines.files.containers import ClipError
from pipelines.files.tfrecord import HEAD_BYTES, FrameError, read_frame, read_frames, skip_frames
from pipelines.messages import one_line


@dataclass(frozen=True)
class Reference:
    """One record, unread."""

    shard: str  # path of its file
    offset: int  # of its first byte
    length: int  # bytes
    id: str  # of the record
    source_id: str  # of its clip
    original: bool  # it is the unchanged clip


class ShardError(RuntimeError):
    """A shard is damaged, which fails the run that reads all of it; the message is one line."""


def walk(shard: str) -> Iterator[Reference]:
    """Give the references of a shard's records, in order. Raises `ShardError` if the file is cut off or damaged."""
    try:
        for offset, record in _records(shard):
            id_, source, recipe = texts(record, ("id", "source_id", "recipe"))
            yield Reference(shard, offset, len(record), id_, source, recipe == ORIGINAL)
    except DamagedError as error:
        raise ShardError(str(error)) from error


def read_all(dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Give the examples of all records, as `read_example` decodes them, in the order of the shards.

    Raises `DamagedError`.
    """
    for shard in dataset.shards:
        for _, record in _records(shard):
            yield read_example(dataset, record)


def _records(shard: str) -> Iterator[tuple[int, bytes]]:
    """Give the offset and the bytes of each record of a shard."""
    number = 0
    try:
        with open(shard, "rb") as file:
            for found in read_frames(file):
                yield found
                number += 1
    except (OSError, FrameError) as error:
        raise DamagedError(
            f"{shard}, record {number}: {one_line(error)}; copy the dataset again, or see what is whole with dreambeam "
            "verify"
        ) from error


def read_record(dataset: Dataset, place: Place) -> bytes:
    """Read the serialised example at a place; what is before it is skipped unread. Raises `DamagedError`."""
    path = dataset.shard_path(place.split, place.shard)
    try:
        with path.open("rb") as file:
            skip_frames(file, place.position)
            record = read_frame(file)
        if record is None:
            raise FrameError("the file ends before it")
    except (OSError, FrameError) as error:
        raise DamagedError(f"{path}: record {place.position} cannot be read: {one_line(error)}") from error
    return record


def read_at(uri: str, offset: int) -> bytes:
    """Read the serialised example whose frame begins at an offset of a shard, on any file system.

    Raises `DamagedError`.
    """
    try:
        return raw_records.read_record(uri, offset)
    except ClipError as error:
        raise DamagedError(str(error)) from error


def read_reference(dataset: Dataset, reference: Reference) -> dict[str, Any]:
    """Read a record: NumPy values and text, its audio as float32 [samples, channels]. Raises `DamagedError`."""
    example = read_example(dataset, read_at(reference.shard, reference.offset - HEAD_BYTES))
    return {**example, "audio": stored_samples(dataset, example)}


def find_example(dataset: Dataset, id_: str) -> dict[str, Any]:
    """Read the record of an id, as `read_example` decodes it.

    Raises:
        DatasetError: there is no such record.
        DamagedError: it is damaged, or another record is in its place.
    """
    place = reader.find(dataset, id_)
    example = read_example(dataset, read_record(dataset, place))
    if example["id"] != id_:
        path = dataset.shard_path(place.split, place.shard)
        raise DamagedError(f"{path}: record {place.position} is {example['id']!r}, not {id_!r}: see dreambeam verify")
    return example


def read_example(dataset: Dataset, record: bytes) -> dict[str, Any]:
    """Decode a record by the dataset's features, as TFDS does: NumPy values, and text. Raises `DamagedError`."""
    try:
        example = dataset.features.deserialize_example_np(record)
        return {
            key: value.decode() if isinstance(value, bytes) and key != "audio" else value
            for key, value in example.items()
        }
    except Exception as error:  # TFDS's decoders and protobuf raise what they like
        raise DamagedError(f"a record does not have the features of features.json ({one_line(error)})") from error


def texts(record: bytes, features: Sequence[str]) -> list[str]:
    """Return text features of a serialised example, "" for one that it lacks. Raises `DamagedError`."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.example import example_pb2

    message: Any = example_pb2
    try:
        found = message.Example.FromString(record).features.feature
    except DecodeError as error:
        raise DamagedError(f"a record is no tf.train.Example ({one_line(error)})") from error
    values = [found[name].bytes_list.value for name in features]
    return [value[0].decode("utf-8", "backslashreplace") if value else "" for value in values]


def stored_bytes(example: Mapping[str, Any]) -> bytes:
    """Return the bytes that a decoded example stores as audio, as they are hashed: samples, or a file."""
    audio = example["audio"]
    return audio if isinstance(audio, bytes) else np.ascontiguousarray(audio).tobytes()


def stored_samples(dataset: Dataset, example: Mapping[str, Any]) -> np.ndarray:
    """Return the waveform of a decoded example: float32 [samples, channels]. Raises `DamagedError`."""
    try:
        samples = AUDIO_ENCODINGS[dataset.audio_encoding].restore(example["audio"])
    except (soundfile.SoundFileError, KeyError, TypeError) as error:
        raise DamagedError(f"its audio is not {dataset.audio_encoding} ({one_line(error)})") from error
    return samples.reshape(len(samples), -1)
