"""Clips: from the reference of a sound file to the samples of a piece of it.

Takes a `SoundFileRef` (one file, nothing opened yet), cuts it into `ClipRef` (references: cheap, may cross a
shuffle) by its header, and decodes one of those to a `Clip` (float32 [samples, channels], at the file's own
rate). Everything that libsndfile reads is read: WAV of any subtype, FLAC, Ogg Vorbis, Opus, MP3, AIFF, AU,
W64, CAF.

Conventions: `start` and `stop` count frames at the file's own rate, half open. Samples are neither clipped
nor rescaled (Vorbis and float WAV may exceed 1). A header's frame count is a claim: memory grows with the
samples that were really read, never with the claim. Whatever is wrong with a clip is a `ClipError`,
also where `containers` finds a file cut off before it is opened here.

Sources: W3C Media Fragments URI 1.0 (2012), section 4.2.1 (ids of segments). Two faults of libsndfile
1.2.2 are worked around, see `_entry`.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np
import soundfile

from pipelines.containers import ClipError, cut_off, one_line, open_stream, read_state, sha256
from pipelines.locations import local_path

MIN_REMAINDER_SECONDS = 0.975  # one YAMNet patch: 0.96 s of hops and the rest of the last 25 ms window
MAX_CHANNELS = 64
MAX_PEAK = 100.0  # 40 dB above full scale: integers in a float file
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 1_000, 768_000  # Hz

_BLOCK_FRAMES = 65_536
_MP3_PREROLL_SECONDS = 0.5
_VORBIS_PAGE_FRAMES = 255 * 4096  # a page ends at most 255 packets, a packet is at most half a block of 8192
_MAX_FRAMES_PER_BYTE = 64  # a larger claim is counted by decoding instead of believed


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
    """One file, unopened.

    Attributes:
      id: POSIX path relative to the root of the inputs.
      uri: absolute path, or a URI that Beam's FileSystems can open.
      label: class of the recording; None where it is not known.
      split: part of the dataset, such as "train".
    """

    id: str
    uri: str
    label: str | None
    split: str = "train"


@dataclass(frozen=True)
class ClipRef:
    """The frames [start, stop) of one file, unread.

    Attributes:
      id: the file's id, and "#t=START,END" in seconds where the clip is a segment of its file.
      uri: as in `SoundFileRef`.
      label: as in `SoundFileRef`.
      split: as in `SoundFileRef`.
      start: first frame, at the file's own rate.
      stop: frame after the last one.
      sample_rate: of the file, Hz.
      channels: of the file.
      format: libsndfile's container and subtype, such as "WAV/PCM_16".
    """

    id: str
    uri: str
    label: str | None
    split: str
    start: int
    stop: int
    sample_rate: int
    channels: int
    format: str


@dataclass(frozen=True, eq=False)
class Clip:
    """The samples of one clip.

    Attributes:
      ref: where they come from; its `stop` is what was really read.
      waveform: float32 [samples, channels], at `ref.sample_rate`, finite, neither clipped nor rescaled.
      sha256: hex digest of the bytes of the whole source file.
    """

    ref: ClipRef
    waveform: np.ndarray
    sha256: str


def failure(ref: SoundFileRef | ClipRef, error: ClipError) -> Failure:
    """Write down why `ref` could not be used."""
    return Failure(uri=ref.uri, id=ref.id, stage=error.stage, error=str(error))


def clip_ref(source: Mapping[str, Any]) -> ClipRef:
    """Return the reference of a clip from what a record's provenance says of its source.

    Args:
      source: provenance's "source".

    Returns:
      The reference; what its samples do not depend on (label, split) is left open.

    Raises:
      KeyError: something is not said.
    """
    return ClipRef(
        id=source["id"],
        uri=source["uri"],
        label=None,
        split="",
        start=source["start"],
        stop=source["stop"],
        sample_rate=source["sample_rate"],
        channels=source["channels"],
        format=source["format"],
    )


def segments(file: SoundFileRef, *, segment_seconds: float | None) -> list[ClipRef]:
    """Cut a file into consecutive clips, by its header.

    The clips tile the file: one's `stop` is the next one's `start`. A remainder shorter than
    `MIN_REMAINDER_SECONDS` joins the clip before it. Only the header is read, and for MP3 and FLAC (whose
    header can promise what a truncated file does not hold) one frame at the end; the whole file is decoded,
    block by block, only where the header gives no believable length.

    Args:
      file: the file to cut.
      segment_seconds: length of a clip, s, at least 0.01; None never cuts.

    Returns:
      One `ClipRef` or more, in order. A file that is not cut keeps its own id.

    Raises:
      ClipError: the file can not be used.
      ValueError: `segment_seconds` is out of range (the run's fault, not the file's).
    """
    if segment_seconds is not None and not 0.01 <= segment_seconds < math.inf:
        raise ValueError(f"segment_seconds is {segment_seconds}; expected seconds from 0.01 up, or None for no cut")
    with _opened(file.uri) as sound:
        rate, channels = sound.samplerate, sound.channels
        frames, sound_format = _frame_count(sound, file.uri), f"{sound.format}/{sound.subtype}"
    bounds = [0]
    if segment_seconds is not None:
        count = int(frames / (segment_seconds * rate) + 1e-9)
        cuts = [round(k * segment_seconds * rate) for k in range(1, count + 1)]
        if cuts and frames - cuts[-1] < MIN_REMAINDER_SECONDS * rate:
            cuts.pop()
        bounds += cuts
    bounds.append(frames)
    whole = len(bounds) == 2
    return [
        ClipRef(
            id=file.id if whole else f"{file.id}#t={_seconds(start / rate)},{_seconds(stop / rate)}",
            uri=file.uri,
            label=file.label,
            split=file.split,
            start=start,
            stop=stop,
            sample_rate=rate,
            channels=channels,
            format=sound_format,
        )
        for start, stop in itertools.pairwise(bounds)
    ]


def decode(ref: ClipRef) -> Clip:
    """Read the samples of one clip.

    Args:
      ref: the clip, as `segments` gave it.

    Returns:
      The clip. The frame counts of MP3, Vorbis and Opus may be approximate: a shortfall of at most 0.1 s or
      one percent is taken as it is, and `ref.stop` of the result says so.

    Raises:
      ClipError: the clip can not be read, is cut off, or holds samples that are not numbers.
    """
    name = repr(ref.uri)
    with _opened(ref.uri) as sound:
        if (sound.samplerate, sound.channels) != (ref.sample_rate, ref.channels):
            raise ClipError(
                f"{name} changed since it was listed: it had {ref.channels} channels at "
                f"{ref.sample_rate} Hz, now {sound.channels} at {sound.samplerate} Hz; start the run again",
                "read",
            )
        waveform, reason = _read(sound, ref)
        tolerance = _tolerance(sound, ref.stop - ref.start)
    missing = ref.stop - ref.start - len(waveform)
    if missing > tolerance or not len(waveform):
        raise ClipError(
            f"{name} is cut off or damaged: {ref.stop - ref.start} frames were announced from frame "
            f"{ref.start}, {len(waveform)} could be read{reason}; copy it again from its source, or "
            "re-encode what is there (ffmpeg -i OLD NEW)",
            "decode",
        )
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
    read_ref = replace(ref, stop=ref.start + len(waveform)) if missing else ref
    return Clip(ref=read_ref, waveform=waveform, sha256=sha256(ref.uri, *read_state(ref.uri)))


def _seconds(value: float) -> str:
    """Print seconds with up to 3 decimals and no needless zeros."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


class _Sequential(soundfile.SoundFile):
    """A sound file that is read straight on.

    python-soundfile seeks to where it already is after every block of a seekable file. That breaks FLAC of
    unknown length, and loses samples at the end of Ogg Vorbis; a file that says it is not seekable is spared.
    """

    can_seek = True

    def seekable(self) -> bool:
        return False


class _Remote:
    """A file of another file system for libsndfile's callbacks, which can not raise: errors are kept."""

    def __init__(self, stream: BinaryIO):
        self.stream = stream
        self.error: Exception | None = None

    def _guarded(self, call: Any, default: Any) -> Any:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - whatever the client raises; `_opened` raises it again
            self.error = self.error or error
            return default

    def read(self, count: int) -> bytes:
        return self._guarded(lambda: self.stream.read(count), b"")

    def seek(self, offset: int, whence: int = 0) -> None:
        self._guarded(lambda: self.stream.seek(offset, whence), None)

    def tell(self) -> int:
        return self._guarded(self.stream.tell, 0)


@contextmanager
def _opened(uri: str) -> Iterator[_Sequential]:
    """Open a sound file whose container is whole and whose header is sane."""
    name = repr(uri)
    state = read_state(uri)
    if not state[0]:
        raise ClipError(f"{name} is empty (0 bytes); copy it again from its source, or remove it", "read")
    if cut := cut_off(uri, *state):
        raise ClipError(
            f"{name} is cut off: {cut}; copy it again from its source, or re-encode what is there (ffmpeg -i OLD NEW)",
            "decode",
        )
    with ExitStack() as stack:
        path = local_path(uri)
        source: Any = path if os.name == "nt" or path is None else os.fsencode(path)
        remote = None
        if path is None:
            source = remote = _Remote(stack.enter_context(open_stream(uri)))
        try:
            try:
                sound = stack.enter_context(_Sequential(source))
            except (soundfile.SoundFileError, TypeError) as error:  # TypeError: a headerless .raw
                raise ClipError(
                    f"{name} is not readable audio ({one_line(error)}); expected WAV, FLAC, Ogg Vorbis, "
                    "Opus, MP3 or AIFF: convert it (ffmpeg -i OLD NEW.flac) or remove it",
                    "decode",
                ) from error
            sound.can_seek = soundfile.SoundFile.seekable(sound)
            _check_header(sound, name)
            yield sound
        finally:
            # what the connection said is more to the point than what followed from it
            if remote is not None and remote.error is not None:
                raise ClipError(
                    f"{name} could not be read ({one_line(remote.error)}); try again", "read"
                ) from remote.error


def _check_header(sound: _Sequential, name: str) -> None:
    """Refuse what no recording has."""
    if not MIN_SAMPLE_RATE <= sound.samplerate <= MAX_SAMPLE_RATE:
        raise ClipError(
            f"{name} says {sound.samplerate} Hz; expected {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz: "
            "resample it, or correct its header",
            "validate",
        )
    if sound.channels > MAX_CHANNELS:
        raise ClipError(
            f"{name} has {sound.channels} channels; expected at most {MAX_CHANNELS}: mix it down first",
            "validate",
        )
    if sound.frames <= 0:
        raise ClipError(f"{name} holds no samples; record it again, or remove it", "validate")


def _tolerance(sound: _Sequential, frames: int) -> int:
    """Give the shortfall that a lossy codec's header may have, in frames."""
    lossy = sound.format == "MP3" or sound.subtype in ("VORBIS", "OPUS")
    return int(max(0.1 * sound.samplerate, 0.01 * frames)) if lossy else 0


def _frame_count(sound: _Sequential, uri: str) -> int:
    """Give the number of frames, after a look at whether the file can hold them."""
    claimed = sound.frames
    counted = None
    if claimed > _MAX_FRAMES_PER_BYTE * read_state(uri)[0]:
        _, counted, _ = _advance(sound, claimed, keep=False)
    elif sound.format in ("FLAC", "MP3"):
        # the count of the other formats follows from their bytes, which cut_off has compared
        probe = max(0, claimed - 1 - _tolerance(sound, claimed))
        if not (_seek(sound, probe) and _advance(sound, 1, keep=False)[1]):
            counted = 0
    if counted is None:
        return claimed
    unknown = claimed >= 1 << 62
    if counted and (unknown or claimed - counted <= _tolerance(sound, claimed)):
        return counted
    raise ClipError(
        f"{uri!r} is cut off or damaged: its header announces "
        f"{'an unknown number of' if unknown else claimed} frames, and the end can not be read; copy it "
        "again from its source, or re-encode what is there (ffmpeg -i OLD NEW)",
        "decode",
    )


def _entry(sound: _Sequential, start: int) -> int:
    """Choose the frame from which to decode so that `start` and the following are exact.

    An MP3 frame borrows bits from, and overlaps with, the frames before it. libsndfile 1.2.2 places samples
    wrongly after a seek into the last page of an Ogg Vorbis stream, whose final granule position is trimmed.
    Both are cured by decoding from earlier on.
    """
    if not sound.can_seek or sound.frames >= 1 << 62:
        return 0
    if sound.format == "MP3":
        return max(0, start - int(_MP3_PREROLL_SECONDS * sound.samplerate))
    if sound.subtype == "VORBIS":
        return max(0, min(start, sound.frames - _VORBIS_PAGE_FRAMES))
    return start


def _seek(sound: _Sequential, frame: int) -> bool:
    """Go to a frame; say whether that worked."""
    try:
        return sound.seek(frame) == frame
    except soundfile.LibsndfileError:
        return False


def _advance(sound: _Sequential, frames: int, *, keep: bool) -> tuple[list[np.ndarray], int, str]:
    """Decode the next `frames` frames block by block, or fewer where the file ends or breaks.

    Returns:
      The blocks (none unless `keep`), float32 [frames, channels]; how many frames they are; what stopped it,
      or "".
    """
    blocks: list[np.ndarray] = []
    done = 0
    while done < frames:
        try:
            block = sound.read(min(frames - done, _BLOCK_FRAMES), dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            return blocks, done, f" ({one_line(error)})"
        if not len(block):
            break
        done += len(block)
        if keep:
            blocks.append(block)
    return blocks, done, ""


def _read(sound: _Sequential, ref: ClipRef) -> tuple[np.ndarray, str]:
    """Read the frames of a clip, as many as there are: float32 [samples, channels], and what stopped it."""
    entry = _entry(sound, ref.start)
    if entry and not _seek(sound, entry):
        with _opened(ref.uri) as again:  # a failed seek leaves the decoder anywhere: start from the beginning
            again.can_seek = False
            return _read(again, ref)
    skip = ref.start - entry
    _, skipped, reason = _advance(sound, skip, keep=False)
    blocks: list[np.ndarray] = []
    if skipped == skip:
        blocks, _, reason = _advance(sound, ref.stop - ref.start, keep=True)
    return np.concatenate([np.zeros((0, ref.channels), np.float32), *blocks]), reason
