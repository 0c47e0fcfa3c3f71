"""Clips: a sound is cut into references by its header, and a reference is decoded to samples.

Takes a `SoundFileRef`, gives `ClipRef`s (`segments`), and decodes one of those to a `Clip`.
`pipelines.clips.shard_clips` cuts sounds that are records of a shard; decoding is the same for both.

Conventions: `start` and `stop` count frames at the sound's own rate, half open. Samples are neither clipped nor
rescaled (Vorbis and float WAV may exceed 1). Whatever is wrong with a clip is a `ClipError`.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pipelines.clips import tf_examples
from pipelines.clips.references import ClipRef, SoundFileRef, seconds
from pipelines.files import soundfiles
from pipelines.files.containers import ClipError, read_state
from pipelines.files.opening import file_opener
from pipelines.files.raw_records import read_record, source_sha256
from pipelines.files.soundfiles import Shape

MIN_REMAINDER_SECONDS = 0.975  # one YAMNet patch: 0.96 s of hops and the rest of the last 25 ms window
MAX_PEAK = 100.0  # 40 dB above full scale: integers in a float file


@dataclass(frozen=True, eq=False)
class Clip:
    """The samples of one clip."""

    ref: ClipRef  # where they come from; its `stop` is what was really read
    waveform: np.ndarray  # float32 [samples, channels], at `ref.sample_rate`, finite, neither clipped nor rescaled
    sha256: str  # hex digest of the bytes of the whole source file; of the record's bytes where the sound is a record


def segments(file: SoundFileRef, *, segment_seconds: float | None) -> list[ClipRef]:
    """Cut a file, or the piece of it that is meant, into consecutive clips, by its header, as `cut` does.

    Raises `ClipError` if the file cannot be used, and `ValueError` if `segment_seconds` is out of range.
    """
    check_segment_seconds(segment_seconds)
    shape = soundfiles.measure(file_opener(file.uri), size=read_state(file.uri)[0], name=repr(file.uri))
    start, stop = _piece(file, shape)
    whole = ClipRef(
        id=file.id,
        uri=file.uri,
        labels=file.labels,
        split=file.split,
        start=start,
        stop=stop,
        sample_rate=shape.sample_rate,
        channels=shape.channels,
        format=shape.format,
        groups=file.groups,
        note=shape.note,
    )
    return cut(whole, frames=shape.frames, segment_seconds=segment_seconds)


def check_segment_seconds(segment_seconds: float | None) -> None:
    """Refuse a length that no segment can have with a `ValueError`."""
    if segment_seconds is not None and not 0.01 <= segment_seconds < math.inf:
        raise ValueError(f"segment_seconds is {segment_seconds}; expected seconds from 0.01 up, or None for no cut")


def cut(whole: ClipRef, *, frames: int, segment_seconds: float | None) -> list[ClipRef]:
    """Cut a clip into consecutive ones: one's `stop` is the next one's `start`.

    A remainder shorter than `MIN_REMAINDER_SECONDS` joins the clip before it. A clip that is all of its sound keeps the
    id.

    Args:
        whole: the clip; its id is that of its sound.
        frames: of its sound.
        segment_seconds: length of a clip, s, at least 0.01; None never cuts.
    """
    rate, length = whole.sample_rate, whole.stop - whole.start
    bounds = [whole.start]
    if segment_seconds is not None:
        count = int(length / (segment_seconds * rate) + 1e-9)
        cuts = [whole.start + round(k * segment_seconds * rate) for k in range(1, count + 1)]
        if cuts and whole.stop - cuts[-1] < MIN_REMAINDER_SECONDS * rate:
            cuts.pop()
        bounds += cuts
    bounds.append(whole.stop)
    if bounds == [0, frames]:
        return [whole]
    return [
        replace(whole, id=f"{whole.id}#t={seconds(start / rate)},{seconds(stop / rate)}", start=start, stop=stop)
        for start, stop in itertools.pairwise(bounds)
    ]


def decode(ref: ClipRef) -> Clip:
    """Read the samples of one clip.

    The frame counts of MP3, Vorbis and Opus may be approximate: a shortfall of at most 0.1 s or one percent is
    accepted, and `ref.stop` of the result says so. Raises `ClipError` if the clip cannot be read, is cut off, is too
    long for memory, or holds samples that are not numbers.
    """
    name = repr(ref.uri) if ref.record_offset is None else f"{ref.id!r} in {ref.uri!r}"
    _check_length(ref, name)
    shape = Shape(ref.stop - ref.start, ref.sample_rate, ref.channels, ref.format)
    if ref.layout is None or ref.record_offset is None:
        read = soundfiles.read_frames(file_opener(ref.uri), shape, ref.start, name)
        digest = source_sha256(ref.uri, None)
    else:
        record = read_record(ref.uri, ref.record_offset)
        read = tf_examples.read_frames(record, ref.layout, shape, ref.start, name)
        digest = hashlib.sha256(record).hexdigest()
    soundfiles.check_whole(shape.frames, len(read.waveform), read.tolerance, name, read.reason, ref.start)
    _check_samples(read.waveform, ref, name)
    return Clip(replace(ref, stop=ref.start + len(read.waveform)), read.waveform, digest)


def decode_blocks(ref: ClipRef) -> Iterator[np.ndarray]:
    """Read the samples of a whole file block by block: float32 [samples, channels].

    Raises `ClipError` if the file cannot be read, is cut off, or holds samples that are not numbers.
    """
    name, done = repr(ref.uri), 0
    shape = Shape(ref.stop, ref.sample_rate, ref.channels, ref.format)
    for block in soundfiles.read_blocks(file_opener(ref.uri), shape, name):
        _check_samples(block, replace(ref, start=done), name)
        yield block
        done += len(block)


def _piece(file: SoundFileRef, shape: Shape) -> tuple[int, int]:
    """Return the frames [start, stop) of the piece that is meant of a file."""
    start = round(file.offset_seconds * shape.sample_rate)
    if file.duration_seconds is None:
        stop = shape.frames
    else:
        stop = round((file.offset_seconds + file.duration_seconds) * shape.sample_rate)
    beyond = stop - shape.frames
    if 0 < beyond <= 0.01 * shape.sample_rate:  # durations are often rounded to 2 decimals
        stop = shape.frames
    if not start < stop <= shape.frames:
        raise ClipError(
            f"{file.uri!r} lasts {seconds(shape.frames / shape.sample_rate)} s and has no piece of {file.piece_id!r}; "
            "correct offset and duration, which are in seconds",
            "validate",
        )
    return start, stop


def _check_length(ref: ClipRef, name: str) -> None:
    """Refuse a clip that does not fit into memory."""
    if 4 * (ref.stop - ref.start) * ref.channels > soundfiles.MAX_DECODED_BYTES:
        raise ClipError(
            f"{name} is {seconds(ref.seconds)} s of {ref.channels} channels, more than "
            f"{soundfiles.MAX_DECODED_BYTES >> 30} GiB of samples: let source.segment_seconds cut it, such as "
            "--set source.segment_seconds=10",
            "validate",
        )


def _check_samples(waveform: np.ndarray, ref: ClipRef, name: str) -> None:
    """Refuse samples that are not numbers, or far beyond full scale."""
    bad = np.flatnonzero(~np.isfinite(waveform).all(axis=1))
    if len(bad):
        at_seconds = (ref.start + int(bad[0])) / ref.sample_rate
        raise ClipError(
            f"{name} holds NaN or infinite samples: {len(bad)} frames, the first at {at_seconds:.3f} s; "
            "expected finite samples: export the file again from its source",
            "validate",
        )
    peak = float(np.max(np.abs(waveform)))
    if peak > MAX_PEAK:
        raise ClipError(
            f"{name} peaks at {peak:g}, where full scale is 1: divide its samples by their full scale "
            "(32768 if they were 16-bit integers)",
            "validate",
        )
