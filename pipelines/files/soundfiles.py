"""Sound files: the shape and the samples of a sound, as libsndfile decodes it.

Takes an `opening.Opener`; gives the sound's `Shape` by its header, and its samples, float32 [samples, channels].
Everything that libsndfile reads is read: WAV of any subtype, FLAC, Ogg Vorbis, Opus, MP3, AIFF, AU, W64, CAF.

Conventions: frames are counted at the file's own rate. A header's frame count is a claim: memory grows with the samples
that were read, never with the claim. A small file that decodes to more than `MAX_DECODED_BYTES` is a decompression bomb
and is given up as soon as that is known. Whatever is wrong is a `ClipError`.

Three faults of libsndfile 1.2.2 are worked around, see `_entry`, `opening.Sound` and `pipelines.files.mpeg`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soundfile

from pipelines.files.containers import ClipError
from pipelines.files.opening import Opener, Sound
from pipelines.messages import one_line

MAX_DECODED_BYTES = 1 << 30  # of float32 samples: what one clip may hold, and what a tiny file may expand to

_BLOCK_FRAMES = 65_536
_MP3_PREROLL_SECONDS = 0.5
VORBIS_PAGE_FRAMES = 255 * 4096  # a page ends at most 255 packets, a packet is at most half a block of 8192
_MAX_FRAMES_PER_BYTE = 64  # a larger claim is counted by decoding instead of believed


@dataclass(frozen=True)
class Shape:
    """What a sound is, apart from its samples."""

    frames: int  # samples of each channel
    sample_rate: int  # Hz
    channels: int  # how many
    format: str  # container and subtype as libsndfile calls them, such as "WAV/PCM_16"
    note: str = ""  # how its header is wrong although it can be read to its end, one line; "" where it is right


@dataclass(frozen=True)
class Samples:
    """The samples that were read of a range of frames."""

    waveform: np.ndarray  # float32 [samples, channels]; shorter than the range where the file ends or breaks
    tolerance: int  # the shortfall that the codec's header may have, frames
    reason: str  # what stopped the reading, in brackets, or ""


def measure(opener: Opener, *, size: int, name: str) -> Shape:
    """Return the shape of a sound of `size` bytes, after a check that they can hold what its header announces.

    Only the header is read, and for MP3 and FLAC (whose header can promise what a truncated file does not hold) one
    frame at the end; all is decoded, block by block, only where the header has no plausible length. An MP3 has one if a
    Xing or Info tag counts all its frames. Raises `ClipError`, with the quoted name of the sound, if it cannot be used.
    """
    with opener() as sound:
        frames = _frame_count(sound, size, name)
        return Shape(frames, sound.samplerate, sound.channels, f"{sound.format}/{sound.subtype}", sound.note)


def read_frames(opener: Opener, shape: Shape, start: int, name: str) -> Samples:
    """Read `shape.frames` frames from frame `start` on, as many as there are.

    Raises `ClipError` if the sound cannot be read, or has another rate or other channels than `shape`.
    """
    with opener() as sound:
        _check_unchanged(sound, shape, name)
        waveform, reason = _read(sound, opener, start, shape.frames)
        return Samples(waveform, _tolerance(sound, shape.frames), reason)


def read_blocks(opener: Opener, shape: Shape, name: str) -> Iterator[np.ndarray]:
    """Read all of a sound, block by block: float32 [samples, channels], none of them empty.

    In all at most `shape.frames` frames (`measure`); of lossy codecs, whose headers may be approximate, as many as
    there are. Raises `ClipError` if the sound cannot be read, has another rate or other channels, or is cut off.
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
    """Refuse a sound that is cut off with a `ClipError`.

    Args:
        frames: that were announced from frame `start` on.
        read: frames that could be read.
        tolerance: the shortfall that its header may have, frames.
        name: of the sound, quoted.
        reason: what stopped the reading, in brackets, or "".
        start: frame from which it was read.
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


def _tolerance(sound: Sound, frames: int) -> int:
    """Return the shortfall that a lossy codec's header may have, in frames."""
    lossy = sound.format == "MP3" or sound.subtype in ("VORBIS", "OPUS")
    return int(max(0.1 * sound.samplerate, 0.01 * frames)) if lossy else 0


def _frame_count(sound: Sound, size: int, name: str) -> int:
    """Return the number of frames, after a check that the file can hold them."""
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
        f"{'an unknown number of' if unknown else claimed} frames, and the end cannot be read; copy it "
        "again from its source, or re-encode what is there (ffmpeg -i OLD NEW)",
        "decode",
    )


def _entry(sound: Sound, start: int) -> int:
    """Choose the frame from which to decode so that `start` and the following are exact.

    An MP3 frame borrows bits from, and overlaps with, the frames before it. libsndfile 1.2.2 places samples wrongly
    after a seek into the last page of an Ogg Vorbis stream, whose final granule position is trimmed. Both are cured by
    decoding from earlier on.
    """
    if not sound.can_seek or sound.frames >= 1 << 62:
        return 0
    if sound.format == "MP3":
        return max(0, start - int(_MP3_PREROLL_SECONDS * sound.samplerate))
    if sound.subtype == "VORBIS":
        return max(0, min(start, sound.frames - VORBIS_PAGE_FRAMES))
    return start


def _seek(sound: Sound, frame: int) -> bool:
    """Seek a frame; return whether that worked."""
    try:
        return sound.seek(frame) == frame
    except soundfile.LibsndfileError:
        return False


def _advance(sound: Sound, frames: int, *, keep: bool) -> tuple[list[np.ndarray], int, str]:
    """Decode the next `frames` frames block by block, or fewer where the file ends or breaks.

    Return the blocks (none unless `keep`), float32 [frames, channels]; how many frames they are; and the reason why it
    stopped, or "".
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
    """Read frames from `start` on, as many as there are: float32 [samples, channels], and why it stopped."""
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
