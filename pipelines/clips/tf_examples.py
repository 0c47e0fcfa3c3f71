"""Examples: the sound, labels and names that a tf.train.Example holds.

Takes the bytes of one record, a `Layout` (where the samples are) and `Fields` (where the rest is), both plain data:
they come from the features of a TFDS dataset, or from the names that the user gives. Files inside records are read by
`pipelines.files.soundfiles`, with the same checks as other files.

Conventions: samples are a list of floats; a list of integers; or bytes: of a sound file, or little-endian numbers.
Integers are divided by their full scale, which for 32 and 64 bits is that of 16: TFDS stores 16-bit samples that way.
Whatever is wrong with a record is a `ClipError`.

Sources: TensorFlow, tensorflow/core/example/example.proto; TFDS's `features.Tensor` (values as bytes, zlib, shape).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.files import soundfiles
from pipelines.files.containers import ClipError
from pipelines.files.opening import bytes_opener, check_shape
from pipelines.files.soundfiles import MAX_DECODED_BYTES, Samples, Shape

FILE = "file"
NUMBERS = ("float32", "float64", "int16", "int32", "int64", "uint8", "int8", "float16")
"""Types that samples may have as bytes, little-endian."""


@dataclass(frozen=True)
class Layout:
    """How an example holds its sound."""

    audio: str = "audio"  # name of the feature
    samples: str = FILE  # content of bytes, and the type of integers: "file" or one of `NUMBERS`
    channels: int = 1  # interleaved in it; 0: as the feature `audio`/shape says
    compressed: bool = False  # whether the bytes are compressed by zlib
    sample_rate: int = 0  # Hz; 0: as the feature `rate` says
    rate: str = "sample_rate"  # name of the feature of the sample rate


@dataclass(frozen=True)
class Fields:
    """Where an example holds the labels and names of its sound; each the name of a feature, "" if there is none."""

    labels: tuple[str, ...] = ()  # classes, text or integers; the first of these features that an example has
    classes: tuple[str, ...] = ()  # names of its integers; () if the integers are the labels
    separator: str = ""  # separates several labels in one text; "" if it is one label
    id: str = ""  # of the example
    split: str = ""  # part of the dataset
    groups: tuple[tuple[str, str], ...] = ()  # names of groups, and their features
    group_classes: tuple[tuple[str, tuple[str, ...]], ...] = ()  # names of the integers of a group's feature
    required: tuple[str, ...] = ()  # features without which an example is a failure


Values = Mapping[str, Any]
"""Features by name: arrays of numbers, or lists of bytes."""


def parse(data: bytes, name: str) -> Values:
    """Return the features of a serialised example; `name` is for messages.

    Raises `ClipError` if it is something else.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.example import example_pb2

    message: Any = example_pb2
    try:
        features = message.Example.FromString(data).features.feature
    except DecodeError as error:
        raise ClipError(f"{name} is not a tf.train.Example; expected records that hold one each", "decode") from error
    values: dict[str, Any] = {}
    for key, feature in features.items():
        kind = feature.WhichOneof("kind")
        if kind == "bytes_list":
            values[key] = list(feature.bytes_list.value)
        elif kind == "float_list":
            values[key] = np.array(feature.float_list.value, np.float32)
        elif kind == "int64_list":
            values[key] = np.array(feature.int64_list.value, np.int64)
    return values


def measure(values: Values, layout: Layout, name: str) -> Shape:
    """Return the shape of an example's sound. Raises `ClipError` if it has none, or one that cannot be used."""
    audio = _audio(values, layout, name)
    if isinstance(audio, bytes) and layout.samples == FILE:
        return soundfiles.measure(bytes_opener(audio, name), size=len(audio), name=name)
    waveform = _numbers(audio, values, layout, name)
    rate = _sample_rate(values, layout, name)
    check_shape(rate, waveform.shape[1], len(waveform), name)
    return Shape(len(waveform), rate, waveform.shape[1], f"TFRecord/{waveform.dtype.name}")


def read_frames(data: bytes, layout: Layout, shape: Shape, start: int, name: str) -> Samples:
    """Read `shape.frames` frames of an example's sound from frame `start` on, as many as there are.

    Raises `ClipError` if there is no such sound, or it has another rate or other channels than `shape`.
    """
    values = parse(data, name)
    audio = _audio(values, layout, name)
    if isinstance(audio, bytes) and layout.samples == FILE:
        return soundfiles.read_frames(bytes_opener(audio, name), shape, start, name)
    waveform = _numbers(audio, values, layout, name)[start : start + shape.frames]
    if waveform.shape[1] != shape.channels:
        raise ClipError(f"{name} changed since it was listed: start the run again", "read")
    return Samples(_scaled(waveform), 0, "")


def texts(values: Values, feature: str, classes: tuple[str, ...] = ()) -> list[str]:
    """Return a feature's values as text: integers by their classes, where they have some, else as decimals."""
    found = values.get(feature, ())
    if isinstance(found, list):
        return [value.decode("utf-8", "backslashreplace") for value in found]
    if classes:
        return [classes[int(value)] for value in found if 0 <= value < len(classes)]
    return [str(value.item()) for value in found]


def _audio(values: Values, layout: Layout, name: str) -> np.ndarray | bytes:
    """Return an example's sound as it is stored, decompressed."""
    found = values.get(layout.audio, values.get(f"{layout.audio}/value"))
    if found is None:
        there = ", ".join(map(repr, sorted(values)[:20])) or "none"
        raise ClipError(
            f"{name} has no feature {layout.audio!r}: it has {there}; name the right one in source.features.audio",
            "decode",
        )
    if not isinstance(found, list):
        return found
    if len(found) != 1:
        raise ClipError(
            f"{name} has {len(found)} values in {layout.audio!r}; expected the bytes of one sound", "decode"
        )
    return _decompressed(found[0], name) if layout.compressed else found[0]


def _decompressed(data: bytes, name: str) -> bytes:
    """Undo zlib, up to the size that a clip may have."""
    inflate = zlib.decompressobj()
    try:
        plain = inflate.decompress(data, MAX_DECODED_BYTES)
    except zlib.error as error:
        raise ClipError(f"{name} is damaged ({error}); copy it again from its source", "decode") from error
    if inflate.unconsumed_tail or not inflate.eof:
        raise ClipError(
            f"{name} is cut off, or decompresses to more than {MAX_DECODED_BYTES >> 30} GiB; store it in pieces",
            "validate",
        )
    return plain


def _numbers(audio: np.ndarray | bytes, values: Values, layout: Layout, name: str) -> np.ndarray:
    """Return the stored samples as numbers of their own type: [samples, channels]."""
    if isinstance(audio, bytes):
        dtype = np.dtype(layout.samples).newbyteorder("<")
        if len(audio) % dtype.itemsize:
            raise ClipError(f"{name} has {len(audio)} bytes, not a number of {layout.samples} samples", "decode")
        audio = np.frombuffer(audio, dtype)
    elif audio.dtype == np.int64 and layout.samples in ("uint8", "int8"):
        audio = audio.astype(layout.samples)
    channels = layout.channels
    if not channels:
        shape = np.asarray(values.get(f"{layout.audio}/shape", ()))
        channels = int(shape[1]) if shape.dtype.kind == "i" and shape.shape == (2,) else 0
    if channels < 1 or len(audio) % channels:
        raise ClipError(f"{name} has {len(audio)} samples, which do not fill {channels} channels", "decode")
    return audio.reshape(-1, channels)


def _scaled(waveform: np.ndarray) -> np.ndarray:
    """Return numbers as samples, float32, by their full scale."""
    kind, size = waveform.dtype.kind, waveform.dtype.itemsize
    if kind == "f":
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, and is refused as that
            return np.array(waveform, np.float32)
    if kind == "u":
        return ((waveform.astype(np.float64) - 128) / 128).astype(np.float32)
    return (waveform / (128 if size == 1 else 32768)).astype(np.float32)


def _sample_rate(values: Values, layout: Layout, name: str) -> int:
    if layout.sample_rate:
        return layout.sample_rate
    found = values.get(layout.rate)
    if isinstance(found, np.ndarray) and found.shape == (1,) and np.isfinite(found[0]):
        return int(found[0])
    raise ClipError(
        f"{name} does not say its sample rate (feature {layout.rate!r}); give it with --set source.sample_rate=16000",
        "validate",
    )
