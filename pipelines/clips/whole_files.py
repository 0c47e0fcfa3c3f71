"""Whole audio files, read and written by name: for the commands that work on one."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from augment.models.mirror import demo_recording
from pipelines.clips.clips import Clip, decode, decode_blocks, segments
from pipelines.clips.references import ClipRef, SoundFileRef
from pipelines.files.containers import ClipError
from pipelines.messages import one_line

_PICTURES = (".png", ".pdf", ".svg")
_FORMATS = {".wav": ("WAV", "FLOAT"), ".flac": ("FLAC", "PCM_24"), ".ogg": ("OGG", "VORBIS")}
_BLOCK_SAMPLES = 1 << 16
_RIFF_BYTES = (1 << 32) - (1 << 16)  # of samples that a WAV file can hold; its sizes have 32 bits


DEMO = "demo"
"""Stands for a street recording that is fetched with the weights, wherever a sound is asked for."""


def find_sound(path: str) -> ClipRef:
    """Return the reference to a whole file, or to the street recording `DEMO`, by its header. Raises `ClipError`."""
    file = str(demo_recording()) if path == DEMO else path
    return segments(SoundFileRef(file, file), segment_seconds=None)[0]


def read_sound(path: str, max_seconds: float | None = None) -> Clip:
    """Read a whole file, or the street recording `DEMO`. Raises `ClipError` if it cannot be used, or is too long."""
    ref = find_sound(path)
    seconds = ref.stop / ref.sample_rate
    if max_seconds is not None and seconds > max_seconds:
        raise ClipError(
            f"{path!r} lasts {seconds:.0f} s and at most {max_seconds:.0f} s are dreamed at once: "
            "cut it, or use dreambeam augment, which cuts long files itself",
            "validate",
        )
    return decode(ref)


def first_seconds(ref: ClipRef, seconds: float) -> np.ndarray:
    """Read the first seconds of a whole file: float32 [samples, 1], its channels mixed. Raises `ClipError`."""
    from augment.sound.resampling import Reel

    wanted, found = round(seconds * ref.sample_rate), Reel()
    for block in decode_blocks(ref):
        found.add(block.mean(axis=1, keepdims=True))
        if found.end >= wanted:
            break
    return found.piece(0, wanted)


def check_writable(path: str, *, overwrite: bool) -> None:
    """Refuse a path that no sound can be written to with a `ClipError`.

    Its ending is not that of a format written here, its folder does not exist, or the file does, without `overwrite`.
    """
    if Path(path).suffix.lower() not in _FORMATS or path.endswith(("/", os.sep)):
        raise ClipError(f"cannot write {path!r}: its name must end in {', '.join(_FORMATS)}", "write")
    if not Path(path).absolute().parent.is_dir():
        raise ClipError(f"cannot write {path!r}: there is no such folder; make it first", "write")
    if Path(path).is_dir():
        raise ClipError(f"cannot write {path!r}: it is a folder; give a file name", "write")
    if Path(path).exists() and not overwrite:
        raise ClipError(f"{path!r} exists already: add --overwrite to replace it, or give another name", "write")


def check_picture(path: str) -> None:
    """Refuse a path that no picture can be drawn to with a `ClipError`: by its ending or its folder."""
    if Path(path).suffix.lower() not in _PICTURES:
        raise ClipError(f"cannot draw {path!r}: its name must end in {', '.join(_PICTURES)}", "write")
    if not Path(path).absolute().parent.is_dir():
        raise ClipError(f"cannot draw {path!r}: there is no such folder; make it first", "write")


def check_encodable(path: str, sample_rate: int, channels: int) -> None:
    """Refuse a rate and channels that the format of a path's ending does not take with a `ClipError`."""
    kind, subtype = _FORMATS[Path(path).suffix.lower()]
    try:
        with soundfile.SoundFile(io.BytesIO(), "w", sample_rate, channels, subtype=subtype, format=kind) as file:
            file.write(np.zeros((1, channels), np.float32))
    except soundfile.SoundFileError as error:
        raise ClipError(
            f"cannot write {path!r}: {kind} takes no {channels} channels at {sample_rate} Hz ({one_line(error)}); "
            "give a name that ends in .wav",
            "write",
        ) from error


def write_sound(path: str, waveform: np.ndarray, sample_rate: int) -> None:
    """Write [samples, channels] as `writing` does."""
    with writing(path, sample_rate, waveform.shape[1], len(waveform)) as file:
        file.write(waveform)


class WriteError(RuntimeError):
    """A sound cannot be written, as where the disk is full."""


class SoundWriter:
    """A sound file that is being written."""

    def __init__(self, file: soundfile.SoundFile):
        """Write to a file that is open."""
        self._file = file

    def write(self, block: np.ndarray) -> None:
        """Write what follows, [any, channels]."""
        for start in range(0, len(block), _BLOCK_SAMPLES):  # libsndfile's Vorbis encoder crashes on long arrays
            self._file.write(block[start : start + _BLOCK_SAMPLES])


@contextlib.contextmanager
def writing(path: str, sample_rate: int, channels: int, frames: int) -> Iterator[SoundWriter]:
    """Open a sound file to write to: WAV as 32-bit float (exact), FLAC as 24 bit, Ogg as Vorbis.

    FLAC and Ogg hold nothing above full scale; WAV does. A WAV file of 4 GB or more is RF64 (EBU Tech 3306). The file
    is written beside its place, under a name that ends in ``.incomplete``, and moved there when it is whole. `frames`
    is how many will be written. Raises `WriteError` if it cannot be written.
    """
    kind, subtype = _FORMATS[Path(path).suffix.lower()]
    if kind == "WAV" and 4 * channels * frames > _RIFF_BYTES:
        kind = "RF64"
    place = Path(path).resolve()
    unfinished = place.with_name(f"{place.name[:50]}.{os.getpid()}.incomplete")
    try:
        with soundfile.SoundFile(str(unfinished), "w", sample_rate, channels, subtype=subtype, format=kind) as file:
            yield SoundWriter(file)
        unfinished.replace(place)
    except (soundfile.LibsndfileError, OSError) as error:
        raise WriteError(
            f"{path!r} could not be written ({one_line(error)}): see that the disk has room and the folder may be "
            "written to"
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)
