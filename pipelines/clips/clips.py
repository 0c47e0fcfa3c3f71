"""Clips: from the reference of a sound to the samples of a piece of it.

Takes a `SoundFileRef` (one file, or a piece of one, nothing opened yet), cuts it into `ClipRef` (references: cheap, may
cross a shuffle) by its header, and decodes one of those to a `Clip` (float32 [samples, channels], at the sound's own
rate). `pipelines.clips.shard_clips` does the cutting where the sounds are records of a shard; decoding is the same for
both.

Conventions: `start` and `stop` count frames at the sound's own rate, half open. Samples are neither clipped nor
rescaled (Vorbis and float WAV may exceed 1). Whatever is wrong with a clip is a `ClipError`.

Sources: W3C Media Fragments URI 1.0 (2012), section 4.2.1 (ids of segments).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from pipelines.clips import tf_examples
from pipelines.clips.tf_examples import Layout
from pipelines.files import soundfiles
from pipelines.files.containers import ClipError, read_state, sha256
from pipelines.files.raw_records import read_record
from pipelines.files.soundfiles import Shape

MIN_REMAINDER_SECONDS = 0.975  # one YAMNet patch: 0.96 s of hops and the rest of the last 25 ms window
MAX_PEAK = 100.0  # 40 dB above full scale: integers in a float file

Groups = tuple[tuple[str, str], ...]
"""What a clip has in common with others, such as fold or speaker: pairs of name and value, sorted by name."""


@dataclass(frozen=True)
class Failure:
    """A file or clip that could not be used: one line of failures.jsonl, after `dataclasses.asdict`.

    Attributes:
      uri: the file.
      id: the id that the file or clip would have had.
      stage: as in `ClipError`.
      error: one line, what was wrong and the remedy.
    """

    uri: str
    id: str
    stage: str
    error: str


@dataclass(frozen=True)
class SoundFileRef:
    """One file, or a piece of it, unopened.

    Attributes:
      id: POSIX path relative to the root of the inputs.
      uri: absolute path, or a URI that Beam's FileSystems can open.
      labels: classes of the recording, the first of which is its `label`; none where they are not known.
      split: part of the dataset, such as "train".
      groups: what it has in common with others.
      offset_seconds: where the piece begins.
      duration_seconds: how long the piece is; None: up to the end.
    """

    id: str
    uri: str
    labels: tuple[str, ...] = ()
    split: str = "train"
    groups: Groups = ()
    offset_seconds: float = 0.0
    duration_seconds: float | None = None

    @property
    def piece_id(self) -> str:
        """The id, and "#t=START,END" in seconds where this is a piece of its file."""
        if not self.offset_seconds and self.duration_seconds is None:
            return self.id
        end = "" if self.duration_seconds is None else f",{seconds(self.offset_seconds + self.duration_seconds)}"
        return f"{self.id}#t={seconds(self.offset_seconds)}{end}"


@dataclass(frozen=True)
class ClipRef:
    """The frames [start, stop) of one sound, unread.

    Attributes:
      id: the sound's id, and "#t=START,END" in seconds where the clip is a segment of it.
      uri: as in `SoundFileRef`; of the shard where the sound is a record.
      labels: as in `SoundFileRef`.
      split: as in `SoundFileRef`.
      start: first frame, at the sound's own rate.
      stop: frame after the last one.
      sample_rate: of the sound, Hz.
      channels: of the sound.
      format: libsndfile's container and subtype, such as "WAV/PCM_16"; "TFRecord/float32" and the like where the record
        holds bare samples.
      groups: as in `SoundFileRef`.
      record_offset: of the record in its shard, bytes; None for a file.
      layout: how the record holds its sound; None for a file.
      note: how the sound's header is wrong although it can be read to its end; "" where it is right.
    """

    id: str
    uri: str
    labels: tuple[str, ...]
    split: str
    start: int
    stop: int
    sample_rate: int
    channels: int
    format: str
    groups: Groups = ()
    record_offset: int | None = None
    layout: Layout | None = None
    note: str = ""


@dataclass(frozen=True, eq=False)
class Clip:
    """The samples of one clip.

    Attributes:
      ref: where they come from; its `stop` is what was really read.
      waveform: float32 [samples, channels], at `ref.sample_rate`, finite, neither clipped nor rescaled.
      sha256: hex digest of the bytes of the whole source file; of the record's bytes where the sound is a record.
    """

    ref: ClipRef
    waveform: np.ndarray
    sha256: str


def failure(ref: SoundFileRef | ClipRef, error: ClipError) -> Failure:
    """Write down why `ref` could not be used."""
    id_ = ref.piece_id if isinstance(ref, SoundFileRef) else ref.id
    return Failure(uri=ref.uri, id=id_, stage=error.stage, error=str(error))


def source_of(clip: Clip) -> dict[str, Any]:
    """Return what provenance tells of a clip's source: all that `clip_ref` needs to find it again, and its digest."""
    ref = clip.ref
    source: dict[str, Any] = {
        "id": ref.id,
        "uri": ref.uri,
        "sha256": clip.sha256,
        "start": ref.start,
        "stop": ref.stop,
        "sample_rate": ref.sample_rate,
        "channels": ref.channels,
        "format": ref.format,
    }
    if ref.layout is not None:
        source |= {"record_offset": ref.record_offset, "layout": asdict(ref.layout)}
    if ref.note:
        source["note"] = ref.note
    return source


def clip_ref(source: Mapping[str, Any]) -> ClipRef:
    """Return the reference that `source_of` told of, so that `decode` reads the same samples; without its labels.

    Raises:
      KeyError: a key is missing.
      TypeError: the layout has keys that are not known.
    """
    keys = ("id", "uri", "start", "stop", "sample_rate", "channels", "format")
    layout = source.get("layout")
    return ClipRef(
        **{key: source[key] for key in keys},
        labels=(),
        split="train",
        record_offset=source.get("record_offset"),
        layout=None if layout is None else Layout(**layout),
        note=source.get("note", ""),
    )


def segments(file: SoundFileRef, *, segment_seconds: float | None) -> list[ClipRef]:
    """Cut a file, or the piece of it that is meant, into consecutive clips, by its header.

    Args:
      file: the file to cut.
      segment_seconds: length of a clip, s, at least 0.01; None never cuts.

    Returns:
      One `ClipRef` or more, in order, as `cut` gives them.

    Raises:
      ClipError: the file can not be used.
      ValueError: `segment_seconds` is out of range (the run's fault, not the file's).
    """
    check_segment_seconds(segment_seconds)
    name = repr(file.uri)
    opener = soundfiles.file_opener(file.uri)
    shape = soundfiles.measure(opener, size=read_state(file.uri)[0], name=name)
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
    """Refuse a length that no segment can have.

    Raises:
      ValueError: it is out of range.
    """
    if segment_seconds is not None and not 0.01 <= segment_seconds < math.inf:
        raise ValueError(f"segment_seconds is {segment_seconds}; expected seconds from 0.01 up, or None for no cut")


def cut(whole: ClipRef, *, frames: int, segment_seconds: float | None) -> list[ClipRef]:
    """Cut a clip into consecutive ones.

    They tile it: one's `stop` is the next one's `start`. A remainder shorter than `MIN_REMAINDER_SECONDS` joins the
    clip before it.

    Args:
      whole: what is cut; its id is that of its sound.
      frames: of its sound.
      segment_seconds: length of a clip, s; None never cuts.

    Returns:
      One `ClipRef` or more, in order. One that is all of its sound keeps the id.
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

    Args:
      ref: the clip, as `segments` or `shard_clips.clips` gave it, or `clip_ref`.

    Returns:
      The clip. The frame counts of MP3, Vorbis and Opus may be approximate: a shortfall of at most 0.1 s or
      one percent is taken as it is, and `ref.stop` of the result says so.

    Raises:
      ClipError: the clip can not be read, is cut off, is too long to be held, or holds samples that are not numbers.
    """
    name = repr(ref.uri) if ref.record_offset is None else f"{ref.id!r} in {ref.uri!r}"
    _check_length(ref, name)
    shape = Shape(ref.stop - ref.start, ref.sample_rate, ref.channels, ref.format)
    if ref.layout is None or ref.record_offset is None:
        read = soundfiles.read_frames(soundfiles.file_opener(ref.uri), shape, ref.start, name)
        digest = source_sha256(ref)
    else:
        record = read_record(ref.uri, ref.record_offset)
        read = tf_examples.read_frames(record.data, ref.layout, shape, ref.start, name)
        digest = record.sha256
    soundfiles.check_whole(shape.frames, len(read.waveform), read.tolerance, name, read.reason, ref.start)
    _check_samples(read.waveform, ref, name)
    missing = shape.frames - len(read.waveform)
    read_ref = replace(ref, stop=ref.start + len(read.waveform)) if missing else ref
    return Clip(ref=read_ref, waveform=read.waveform, sha256=digest)


def decode_blocks(ref: ClipRef) -> Iterator[np.ndarray]:
    """Read the samples of a whole file block by block, however long it is.

    Args:
      ref: the file, as `segments` gives it without cutting.

    Yields:
      float32 [samples, channels], as `soundfiles.read_blocks` gives them.

    Raises:
      ClipError: the file can not be read, is cut off, or holds samples that are not numbers.
    """
    name, done = repr(ref.uri), 0
    shape = Shape(ref.stop, ref.sample_rate, ref.channels, ref.format)
    for block in soundfiles.read_blocks(soundfiles.file_opener(ref.uri), shape, name):
        _check_samples(block, replace(ref, start=done), name)
        yield block
        done += len(block)


def source_sha256(ref: ClipRef) -> str:
    """Give the hash that `Clip.sha256` would have, without decoding.

    Raises:
      ClipError: the file or record can not be read.
    """
    if ref.record_offset is not None:
        return read_record(ref.uri, ref.record_offset).sha256
    return sha256(ref.uri, *read_state(ref.uri))


def seconds(value: float) -> str:
    """Print seconds with up to 3 decimals and no needless zeros."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def tidy(labels: Iterable[str]) -> tuple[str, ...]:
    r"""Put labels into the form that a dataset can hold: each once, on one line, text that UTF-8 holds, none empty."""
    lines = (" ".join(label.split()).encode("utf-8", "backslashreplace").decode() for label in labels)
    return tuple(dict.fromkeys(filter(None, lines)))


def _piece(file: SoundFileRef, shape: Shape) -> tuple[int, int]:
    """Give the frames of the piece that is meant of a file."""
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
            f"{name} is {seconds((ref.stop - ref.start) / ref.sample_rate)} s of {ref.channels} channels, more than "
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
