"""Whole audio files, read and written by name: for the commands that work on one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from augment.weights import demo_recording
from pipelines.clips import Clip, ClipError, SoundFileRef, decode, segments

_PICTURES = (".png", ".pdf", ".svg")
_SUBTYPES = {".wav": "FLOAT", ".flac": "PCM_24", ".ogg": "VORBIS"}
_BLOCK_SAMPLES = 1 << 16


DEMO = "demo"
"""Stands for a street recording that is fetched with the weights, wherever a sound is asked for."""


def read_sound(path: str, max_seconds: float | None = None) -> Clip:
    """Read a whole file, or the street recording that "demo" stands for.

    Raises:
        ClipError: it cannot be used, or it lasts longer than max_seconds.
    """
    file = str(demo_recording()) if path == DEMO else path
    ref = segments(SoundFileRef(file, file), segment_seconds=None)[0]
    seconds = (ref.stop - ref.start) / ref.sample_rate
    if max_seconds is not None and seconds > max_seconds:
        raise ClipError(
            f"{path!r} lasts {seconds:.0f} s and at most {max_seconds:.0f} s are dreamed at once: "
            "cut it, or use dreambeam augment, which cuts long files itself",
            "validate",
        )
    return decode(ref)


def check_writable(path: str, *, overwrite: bool) -> None:
    """Make sure that a sound can be written there.

    Args:
        path: of the file.
        overwrite: it may replace a file that is there.

    Raises:
        ClipError: the ending is not that of a format written here, the folder does not exist, or the file does.
    """
    if Path(path).suffix.lower() not in _SUBTYPES:
        raise ClipError(f"cannot write {path!r}: its name must end in {', '.join(_SUBTYPES)}", "write")
    if not Path(path).absolute().parent.is_dir():
        raise ClipError(f"cannot write {path!r}: there is no such folder; make it first", "write")
    if Path(path).is_dir():
        raise ClipError(f"cannot write {path!r}: it is a folder; give a file name", "write")
    if Path(path).exists() and not overwrite:
        raise ClipError(f"{path!r} exists already: add --overwrite to replace it, or give another name", "write")


def check_picture(path: str) -> None:
    """Make sure that a picture can be drawn there.

    Raises:
        ClipError: the ending is not that of a picture, or the folder does not exist.
    """
    if Path(path).suffix.lower() not in _PICTURES:
        raise ClipError(f"cannot draw {path!r}: its name must end in {', '.join(_PICTURES)}", "write")
    if not Path(path).absolute().parent.is_dir():
        raise ClipError(f"cannot draw {path!r}: there is no such folder; make it first", "write")


def write_sound(path: str, waveform: np.ndarray, sample_rate: int) -> None:
    """Write [samples, channels]: WAV as 32-bit float (exact), FLAC as 24 bit, Ogg as Vorbis.

    FLAC and Ogg hold nothing above full scale; WAV does.
    """
    suffix = Path(path).suffix.lower()
    channels = waveform.shape[1]
    with soundfile.SoundFile(path, "w", sample_rate, channels, subtype=_SUBTYPES[suffix]) as file:
        for start in range(0, len(waveform), _BLOCK_SAMPLES):  # libsndfile's Vorbis encoder crashes on long arrays
            file.write(waveform[start : start + _BLOCK_SAMPLES])
