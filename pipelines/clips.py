"""Clips: from the reference of a sound file to the samples of a piece of it.

Takes a `SoundFileRef` (one file, nothing opened yet), cuts it into `ClipRef` (references: cheap, may cross a
shuffle) by its header, and decodes one of those to a `Clip` (float32 [samples, channels], at the file's own
rate). Everything that libsndfile reads is read: WAV of any subtype, FLAC, Ogg Vorbis, Opus, MP3, AIFF, AU,
W64, CAF.

Conventions: `start` and `stop` count frames at the file's own rate, half open. Samples are neither clipped
nor rescaled (Vorbis and float WAV may exceed 1). A header's frame count is a claim: memory grows with the
samples that were really read, never with the claim. Whatever is wrong with a clip is a `ClipError`.

Sources: W3C Media Fragments URI 1.0 (2012), section 4.2.1 (ids of segments); RFC 3533 (Ogg pages); RFC 8089
(file URIs); EBU Tech 3306 (RF64). Two faults of libsndfile 1.2.2 are worked around, see `_entry`.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
import os
import re
import stat
import struct
import urllib.parse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np
import soundfile

MIN_REMAINDER_SECONDS = 0.975  # one YAMNet patch: 0.96 s of hops and the rest of the last 25 ms window
MAX_CHANNELS = 64
MAX_PEAK = 100.0  # 40 dB above full scale: integers in a float file
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 1_000, 768_000  # Hz

_BLOCK_FRAMES = 65_536
_BLOCK_BYTES = 1 << 20
_MP3_PREROLL_SECONDS = 0.5
_VORBIS_PAGE_FRAMES = 255 * 4096  # a page ends at most 255 packets, a packet is at most half a block of 8192
_OGG_PAGE_BYTES = 27 + 255 + 255 * 255
_MAX_FRAMES_PER_BYTE = 64  # a larger claim is counted by decoding instead of believed
_UNKNOWN_SIZES = (0xFFFF_FFFF, 0x7FFF_F000)  # what ffmpeg and sox write when they cannot seek back


class ClipError(ValueError):
    """A clip that can not be used; the message is one line that ends with the remedy.

    Attributes:
      stage: where it failed, one of "list", "label", "read", "decode", "validate".
    """

    def __init__(self, message: str, stage: str):
        super().__init__(message)
        self.stage = stage

    def __reduce__(self) -> tuple[Any, ...]:
        """Let a worker send the error to its runner."""
        return type(self), (str(self), self.stage)


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
    return Clip(ref=read_ref, waveform=waveform, sha256=_sha256(ref.uri, *_state(ref.uri)))


def local_path(uri: str) -> str | None:
    """Give the local path that a URI or path means, or None where it lies in another file system."""
    if uri.startswith("file://"):
        return os.fsdecode(urllib.parse.unquote_to_bytes(re.sub("^file://(localhost(?=/))?", "", uri)))
    return None if re.match("[A-Za-z][A-Za-z0-9+.-]*://", uri) else uri


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
    state = _state(uri)
    if not state[0]:
        raise ClipError(f"{name} is empty (0 bytes); copy it again from its source, or remove it", "read")
    if cut := _cut_off(uri, *state):
        raise ClipError(
            f"{name} is cut off: {cut}; copy it again from its source, or re-encode what is there (ffmpeg -i OLD NEW)",
            "decode",
        )
    with ExitStack() as stack:
        path = local_path(uri)
        source: Any = path if os.name == "nt" or path is None else os.fsencode(path)
        remote = None
        if path is None:
            source = remote = _Remote(stack.enter_context(_stream(uri)))
        try:
            try:
                sound = stack.enter_context(_Sequential(source))
            except (soundfile.SoundFileError, TypeError) as error:  # TypeError: a headerless .raw
                raise ClipError(
                    f"{name} is not readable audio ({_one_line(error)}); expected WAV, FLAC, Ogg Vorbis, "
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
                    f"{name} could not be read ({_one_line(remote.error)}); try again", "read"
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
    if claimed > _MAX_FRAMES_PER_BYTE * _state(uri)[0]:
        _, counted, _ = _advance(sound, claimed, keep=False)
    elif sound.format in ("FLAC", "MP3"):
        # the count of the other formats follows from their bytes, which _cut_off has compared
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
            return blocks, done, f" ({_one_line(error)})"
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


def _one_line(error: BaseException) -> str:
    """Give the reason of an error without file names or line breaks."""
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split()).rstrip(".").encode("utf-8", "backslashreplace").decode()


def _state(uri: str) -> tuple[int, float]:
    """Give a file's size in bytes and time of last change.

    Raises:
      ClipError: it is missing, not a file, or out of reach.
    """
    path = local_path(uri)
    try:
        if path is None:
            from apache_beam.io.filesystems import FileSystems

            metadata = FileSystems.get_filesystem(uri).metadata(uri)
            return metadata.size_in_bytes, metadata.last_updated_in_seconds
        status = os.stat(path)
    except FileNotFoundError as error:
        raise ClipError(f"{uri!r} does not exist: check its path", "read") from error
    except Exception as error:  # remote clients raise what they like; os.stat also ValueError (a null character)
        raise ClipError(
            f"{uri!r} can not be reached ({_one_line(error)}); check that it exists and may be read", "read"
        ) from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise ClipError(f"{uri!r} is {kind}; expected a sound file", "read")
    return status.st_size, status.st_mtime_ns


@contextmanager
def _stream(uri: str) -> Iterator[BinaryIO]:
    """Open the bytes of a file, of any file system."""
    path = local_path(uri)
    try:
        if path is None:
            from apache_beam.io.filesystem import CompressionTypes
            from apache_beam.io.filesystems import FileSystems

            stream = FileSystems.open(uri, compression_type=CompressionTypes.UNCOMPRESSED)
        else:
            stream = open(path, "rb")  # noqa: SIM115 - closed below
    except Exception as error:  # as in _state
        raise ClipError(
            f"{uri!r} can not be opened ({_one_line(error)}); check that it exists and may be read", "read"
        ) from error
    with stream:
        yield stream


@functools.lru_cache(maxsize=16)
def _sha256(uri: str, size: int, changed: float) -> str:
    """Digest a file's bytes; `size` and `changed` only tell one state of a file from the next."""
    digest = hashlib.sha256()
    try:
        with _stream(uri) as stream:
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise ClipError(f"{uri!r} could not be read ({_one_line(error)}); try again", "read") from error
    return digest.hexdigest()


@functools.lru_cache(maxsize=256)
def _cut_off(uri: str, size: int, changed: float) -> str | None:
    """Say how the bytes of a file fall short of what its container announces, or None.

    libsndfile silently reads what is there of a truncated WAV, AIFF, AU, W64 or Ogg.
    """
    try:
        with _stream(uri) as stream:
            magic = stream.read(4)
            stream.seek(0)
            if magic == b"OggS":
                return None if _ogg_ends(stream, size) else "its last Ogg page has no end-of-stream mark"
            end = _announced_end(stream)
    except OSError as error:
        raise ClipError(f"{uri!r} could not be read ({_one_line(error)}); try again", "read") from error
    # one byte: some writers count the pad byte of an odd chunk, and do not write it
    if end is not None and end > size + 1:
        return f"its header announces audio up to byte {end}, the file has {size} bytes"
    return None


def _announced_end(stream: BinaryIO) -> int | None:
    """Give the byte after the last sample according to the header, or None where it does not say."""
    head = stream.read(24).ljust(24, b"\0")
    if head[:4] == b".snd":
        offset, length = struct.unpack(">II", head[4:12])
        return None if length in _UNKNOWN_SIZES else offset + length
    if head[:8] == b"riff\x2e\x91\xcf\x11":  # W64: the first half of its GUID
        return struct.unpack("<Q", head[16:24])[0]
    layouts = {
        b"RIFF": ("<4sI", 12, b"data"),
        b"RF64": ("<4sI", 12, b"data"),
        b"RIFX": (">4sI", 12, b"data"),
        b"FORM": (">4sI", 12, b"SSND"),
        b"caff": (">4sq", 8, b"data"),
    }
    if head[:4] not in layouts:
        return None
    layout, position, wanted = layouts[head[:4]]
    width = struct.calcsize(layout)
    long_length = None
    for _ in range(4096):
        stream.seek(position)
        header = stream.read(width)
        if len(header) < width:
            return None
        name, length = struct.unpack(layout, header)
        if name == b"ds64":
            long_length = struct.unpack("<Q", stream.read(16)[8:].ljust(8, b"\0"))[0]
        if name == wanted:
            known = long_length if length in _UNKNOWN_SIZES else length
            return None if known is None or known < 0 else position + width + known
        if length < 0:
            return None
        position += width + length + (length & 1 if width == 8 else 0)
    return None


def _ogg_ends(stream: BinaryIO, size: int) -> bool:
    """Say whether a whole page with the end-of-stream flag is the last one (RFC 3533, section 6)."""
    stream.seek(max(0, size - 2 * _OGG_PAGE_BYTES))
    tail = stream.read(2 * _OGG_PAGE_BYTES)
    page = tail[max(0, tail.rfind(b"OggS\0")) :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return False
    lacing = page[27 : 27 + page[26]]
    return bool(page[5] & 4) and len(page) >= 27 + len(lacing) + sum(lacing)
