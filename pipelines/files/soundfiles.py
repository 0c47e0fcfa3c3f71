"""Sound files: what libsndfile reads of a file's bytes, wherever they are.

Takes the path or URI of a file, or its bytes as they lie in a record; gives its `Shape` by its header, and its
samples, float32 [samples, channels]. Everything that libsndfile reads is read: WAV of any subtype, FLAC, Ogg Vorbis,
Opus, MP3, AIFF, AU, W64, CAF.

Conventions: frames are counted at the file's own rate. A header's frame count is a claim: memory grows with the
samples that were really read, never with the claim; and a small file that decodes to more than `MAX_DECODED_BYTES` is
a decompression bomb, which is given up as soon as that is known. Whatever is wrong is a `ClipError`.

Three faults of libsndfile 1.2.2 are worked around, see `_entry`, `Sound` and `pipelines.files.mpeg`.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import soundfile

from augment.sound.samples import MAX_CHANNELS, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE
from pipelines.files import headers, mpeg
from pipelines.files.containers import ClipError, one_line, open_stream, read_state
from pipelines.files.foreign import foreign
from pipelines.files.headers import Header
from pipelines.files.locations import local_path
from pipelines.files.mpeg import Frames
from pipelines.files.pieces import pieces_of

MAX_DECODED_BYTES = 1 << 30  # of float32 samples: what one clip may hold, and what a tiny file may expand to

_BLOCK_FRAMES = 65_536
_REMEDY = (
    "expected WAV, FLAC, Ogg Vorbis, Opus, MP3 or AIFF: convert it to WAV or FLAC (ffmpeg -i OLD NEW.flac) or leave it "
    "out"
)
_MP3_PREROLL_SECONDS = 0.5
VORBIS_PAGE_FRAMES = 255 * 4096  # a page ends at most 255 packets, a packet is at most half a block of 8192
_MAX_FRAMES_PER_BYTE = 64  # a larger claim is counted by decoding instead of believed


@dataclass(frozen=True)
class Shape:
    """What a sound is, apart from its samples.

    Attributes:
        frames: samples of each channel.
        sample_rate: Hz.
        channels: how many.
        format: container and subtype as libsndfile calls them, such as "WAV/PCM_16".
        note: how its header is wrong although it can be read to its end, one line; "" where it is right.
    """

    frames: int
    sample_rate: int
    channels: int
    format: str
    note: str = ""


@dataclass(frozen=True)
class Samples:
    """What was read of a range of frames.

    Attributes:
        waveform: float32 [samples, channels]; shorter than the range where the file ends or breaks.
        tolerance: the shortfall that the codec's header may have, frames.
        reason: what stopped the reading, in brackets, or "".
    """

    waveform: np.ndarray
    tolerance: int
    reason: str


class Sound(soundfile.SoundFile):
    """A sound file that is read straight on.

    python-soundfile seeks to where it already is after every block of a seekable file. That breaks FLAC of
    unknown length, and loses samples at the end of Ogg Vorbis; a file that says it is not seekable is spared.
    """

    can_seek = True
    note = ""  # as in `Shape`
    announced = True  # whether `frames` is what the file says; else it is more than there are

    def seekable(self) -> bool:
        """Say no, whatever the file can."""
        return False


Opener = Callable[[], AbstractContextManager[Sound]]
"""Opens a sound at its first frame, as often as it is called."""


def measure(opener: Opener, *, size: int, name: str) -> Shape:
    """Give the shape of a sound, after a look at whether its bytes can hold what its header says.

    Only the header is read, and for MP3 and FLAC (whose header can promise what a truncated file does not hold) one
    frame at the end; all is decoded, block by block, only where the header gives no believable length. An MP3 gives one
    if it has a Xing or Info tag that counts all its frames.

    Args:
        opener: of the sound.
        size: of its file, bytes.
        name: of the sound, quoted, for messages.

    Raises:
        ClipError: it can not be used.
    """
    with opener() as sound:
        frames = _frame_count(sound, size, name)
        return Shape(frames, sound.samplerate, sound.channels, f"{sound.format}/{sound.subtype}", sound.note)


def read_frames(opener: Opener, shape: Shape, start: int, name: str) -> Samples:
    """Read `shape.frames` frames from frame `start` on, as many as there are.

    Raises:
        ClipError: the sound can not be read, or has another rate or other channels than `shape`.
    """
    with opener() as sound:
        _check_unchanged(sound, shape, name)
        waveform, reason = _read(sound, opener, start, shape.frames)
        return Samples(waveform, _tolerance(sound, shape.frames), reason)


def read_blocks(opener: Opener, shape: Shape, name: str) -> Iterator[np.ndarray]:
    """Read all of a sound, block by block.

    Args:
        opener: of the sound.
        shape: of it, as `measure` gives it.
        name: of the sound, quoted, for messages.

    Yields:
        float32 [samples, channels], none of them empty. In all at most `shape.frames` frames; of lossy codecs, whose
        headers may be approximate, as many as there are.

    Raises:
        ClipError: the sound can not be read, has another rate or other channels than `shape`, or is cut off.
    """
    done = 0
    with opener() as sound:
        _check_unchanged(sound, shape, name)
        while done < shape.frames:
            blocks, read, reason = _advance(sound, min(_BLOCK_FRAMES, shape.frames - done), keep=True)
            yield from blocks
            done += read
            if not read or reason:
                check_whole(shape.frames, done, _tolerance(sound, shape.frames), name, reason)
                return


def check_whole(frames: int, read: int, tolerance: int, name: str, reason: str, start: int = 0) -> None:
    """Refuse a sound of which too little could be read.

    Args:
        frames: that were announced from frame `start` on.
        read: frames that could be read.
        tolerance: the shortfall that its header may have, frames.
        name: of the sound, quoted.
        reason: what stopped the reading, in brackets, or "".
        start: frame from which it was read.

    Raises:
        ClipError: it is cut off.
    """
    if frames - read > tolerance or not read:
        raise ClipError(
            f"{name} is cut off or damaged: {frames} frames were announced from frame {start}, {read} could be "
            f"read{reason}; copy it again from its source, or re-encode what is there (ffmpeg -i OLD NEW)",
            "decode",
        )


def _check_unchanged(sound: Sound, shape: Shape, name: str) -> None:
    if (sound.samplerate, sound.channels) != (shape.sample_rate, shape.channels):
        raise ClipError(
            f"{name} changed since it was listed: it had {shape.channels} channels at "
            f"{shape.sample_rate} Hz, now {sound.channels} at {sound.samplerate} Hz; start the run again",
            "read",
        )


def check_shape(sample_rate: int, channels: int, frames: int, name: str) -> None:
    """Refuse what no recording has.

    Raises:
        ClipError: the rate, the number of channels or the length is out of range.
    """
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise ClipError(
            f"{name} says {sample_rate} Hz; expected {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz: "
            "resample it, or correct its header",
            "validate",
        )
    if channels > MAX_CHANNELS:
        raise ClipError(
            f"{name} has {channels} channels; expected at most {MAX_CHANNELS}: mix it down first",
            "validate",
        )
    if frames <= 0:
        raise ClipError(f"{name} holds no samples; copy it again from its source, or leave it out", "validate")


def file_opener(uri: str) -> Opener:
    """Return what opens a file, of any file system, whose container is whole and whose header is sane."""
    return lambda: _opened_file(uri)


def bytes_opener(data: bytes, name: str) -> Opener:
    """Return what opens the bytes of a sound file; `name` is for messages."""
    return lambda: _opened_bytes(data, name)


class _Guarded:
    """A stream for libsndfile's callbacks, which can not raise: errors are kept."""

    def __init__(self, stream: BinaryIO):
        self.stream = stream
        self.error: Exception | None = None

    def _guarded(self, call: Any, default: Any) -> Any:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - whatever the client raises; `check` raises it again
            self.error = self.error or error
            return default

    def read(self, count: int) -> bytes:
        return self._guarded(lambda: self.stream.read(count), b"")

    def seek(self, offset: int, whence: int = 0) -> None:
        self._guarded(lambda: self.stream.seek(offset, whence), None)

    def tell(self) -> int:
        return self._guarded(self.stream.tell, 0)

    def check(self, name: str) -> None:
        """Raise the error that was kept: what the connection said is more to the point than what followed from it."""
        if self.error is not None:
            raise ClipError(f"{name} could not be read ({one_line(self.error)}); try again", "read") from self.error


@contextmanager
def _opened_file(uri: str) -> Iterator[Sound]:
    name = repr(uri)
    state = read_state(uri)
    header = _checked(name, state[0], lambda: headers.file_header(uri, *state))
    path = local_path(uri)
    native = None if path is None or header.patch else path if os.name == "nt" else os.fsencode(path)
    with ExitStack() as stack:

        def again() -> BinaryIO:
            return stack.enter_context(open_stream(uri))

        yield _repaired(stack, native, again, state[0], header, lambda: mpeg.file_frames(uri, *state), name)


@contextmanager
def _opened_bytes(data: bytes, name: str) -> Iterator[Sound]:
    size = len(data)
    header = _checked(name, size, lambda: headers.find_header(io.BytesIO(data), size))
    with ExitStack() as stack:

        def frames() -> Frames | None:
            return mpeg.find_frames(io.BytesIO(data), size, name)

        yield _repaired(stack, None, lambda: io.BytesIO(data), size, header, frames, name)


def _repaired(
    stack: ExitStack,
    native: str | bytes | None,
    again: Callable[[], BinaryIO],
    size: int,
    header: Header,
    find_frames: Callable[[], Frames | None],
    name: str,
) -> Sound:
    """Open a sound in a form that libsndfile reads to its end.

    Args:
        stack: closes what is opened.
        native: path that libsndfile opens itself; None lets it read what `again` gives.
        again: opens the bytes.
        size: bytes.
        header: of the container.
        find_frames: finds the frames of MPEG audio.
        name: of the sound, quoted, for messages.
    """

    def guarded(stream: BinaryIO) -> _Guarded:
        guard = _Guarded(stream)
        stack.push(lambda *_: guard.check(name))
        return guard

    source = native
    if source is None:
        stream = again()
        source = guarded(pieces_of(stream, [(0, size)], patch=header.patch) if header.patch else stream)
    sound = stack.enter_context(_sound(source, name))
    if sound.format == "MP3" and (frames := find_frames()) is not None and not frames.plain:
        source = guarded(mpeg.relaid(again(), frames))
        sound = stack.enter_context(_sound(source, name, announced=frames.announced))
    sound.note = header.note
    return sound


def _checked(name: str, size: int, find_header: Callable[[], Header]) -> Header:
    """Refuse an empty file, and one that lacks bytes that its container announces; give its header."""
    if not size:
        raise ClipError(f"{name} is empty (0 bytes); copy it again from its source, or leave it out", "read")
    header = find_header()
    if header.missing:
        raise ClipError(
            f"{name} is cut off: {header.missing}; copy it again from its source, or re-encode what is there "
            "(ffmpeg -i OLD NEW)",
            "decode",
        )
    return header


@contextmanager
def _sound(source: Any, name: str, *, announced: bool = True) -> Iterator[Sound]:
    """Open a path or stream with libsndfile; say whether its length is known."""
    try:
        sound = Sound(source)
    except (soundfile.SoundFileError, TypeError) as error:  # TypeError: a headerless .raw
        raise ClipError(
            f"{name} is {foreign(source) or f'not readable audio ({one_line(error)})'}; {_REMEDY}", "decode"
        ) from error
    with sound:
        if sound.format == "MP3" and (kind := foreign(source)):  # libmpg123 finds frames in the noise of others
            raise ClipError(f"{name} is {kind}; {_REMEDY}", "decode")
        sound.can_seek = soundfile.SoundFile.seekable(sound)
        sound.announced = announced
        check_shape(sound.samplerate, sound.channels, sound.frames, name)
        yield sound


def _tolerance(sound: Sound, frames: int) -> int:
    """Give the shortfall that a lossy codec's header may have, in frames."""
    lossy = sound.format == "MP3" or sound.subtype in ("VORBIS", "OPUS")
    return int(max(0.1 * sound.samplerate, 0.01 * frames)) if lossy else 0


def _frame_count(sound: Sound, size: int, name: str) -> int:
    """Give the number of frames, after a look at whether the file can hold them."""
    claimed = sound.frames
    counted = None
    if not sound.announced:
        _, counted, _ = _advance(sound, claimed, keep=False)
        claimed = counted
    elif claimed > _MAX_FRAMES_PER_BYTE * size:
        most = max(MAX_DECODED_BYTES // (4 * sound.channels), _MAX_FRAMES_PER_BYTE * size)
        _, counted, _ = _advance(sound, min(claimed, most + 1), keep=False)
        if counted > most:
            raise ClipError(
                f"{name} has {size} bytes that decode to more than {most} frames, as a decompression bomb does; if it "
                "is meant, convert it to WAV or cut it",
                "validate",
            )
    elif sound.format in ("FLAC", "MP3"):
        # the count of the other formats follows from their bytes, which `headers` has compared
        probe = max(0, claimed - 1 - _tolerance(sound, claimed))
        if not (_seek(sound, probe) and _advance(sound, 1, keep=False)[1]):
            counted = 0
    if counted is None:
        return claimed
    unknown = claimed >= 1 << 62 or not sound.announced
    if counted and (unknown or claimed - counted <= _tolerance(sound, claimed)):
        return counted
    raise ClipError(
        f"{name} is cut off or damaged: its header announces "
        f"{'an unknown number of' if unknown else claimed} frames, and the end can not be read; copy it "
        "again from its source, or re-encode what is there (ffmpeg -i OLD NEW)",
        "decode",
    )


def _entry(sound: Sound, start: int) -> int:
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
        return max(0, min(start, sound.frames - VORBIS_PAGE_FRAMES))
    return start


def _seek(sound: Sound, frame: int) -> bool:
    """Go to a frame; say whether that worked."""
    try:
        return sound.seek(frame) == frame
    except soundfile.LibsndfileError:
        return False


def _advance(sound: Sound, frames: int, *, keep: bool) -> tuple[list[np.ndarray], int, str]:
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


def _read(sound: Sound, opener: Opener, start: int, frames: int) -> tuple[np.ndarray, str]:
    """Read frames from `start` on, as many as there are: float32 [samples, channels], and what stopped it."""
    entry = _entry(sound, start)
    if entry and not _seek(sound, entry):
        with opener() as again:  # a failed seek leaves the decoder anywhere: start from the beginning
            again.can_seek = False
            return _read(again, opener, start, frames)
    skip = start - entry
    _, skipped, reason = _advance(sound, skip, keep=False)
    blocks: list[np.ndarray] = []
    if skipped == skip:
        blocks, _, reason = _advance(sound, frames, keep=True)
    return np.concatenate([np.zeros((0, sound.channels), np.float32), *blocks]), reason
