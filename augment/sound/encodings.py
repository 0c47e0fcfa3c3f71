"""Audio encodings: what a record stores of a waveform, so that a user chooses size against exactness.

Takes waveforms, float32 [samples, channels] with full scale at 1, and gives what stands in a record's `audio`; and
back. What is stored is the same bytes wherever it is made by the same libsndfile.

Conventions: integers are samples × 2^(bits − 1), rounded to the nearest (halves to even) and clipped to full scale;
what comes back divided by 2^(bits − 1) is the sound. The rounding's error is at most half a step: 98 dB below a sine
at full scale for 16 bits, 146 dB for 24, and nearer to a quiet sound by as much as it is quiet.

    float32   4 bytes a sample, as dreamed, to the bit
    int16     2 bytes a sample
    flac      a FLAC file, 24 bits a sample: 1 to 3 bytes, without loss beyond the rounding to 24 bits
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile


class EncodingError(ValueError):
    """An encoding cannot hold a sound; the message is one line that names the remedy."""


@dataclass(frozen=True)
class AudioEncoding:
    """One way to store a waveform.

    Attributes:
        store: (float32 [samples, channels], sample rate in Hz) -> an array of the same shape, or bytes.
        restore: (what is stored, as TFDS gives it) -> float32 [samples] or [samples, channels].
        feature: channel counts that occur, ascending -> the `tfds.features` connector of `audio`.
        bits: that samples are rounded to; None of one that keeps them.
        says: a sentence for the dataset's description.
    """

    store: Callable[[np.ndarray, int], Any]
    restore: Callable[[Any], np.ndarray]
    feature: Callable[[tuple[int, ...]], Any]
    bits: int | None
    says: str

    @property
    def lossy(self) -> bool:
        """Whether what comes back may differ from what was dreamed."""
        return self.bits is not None

    def kept(self, waveform: np.ndarray) -> np.ndarray:
        """Return what comes back of a waveform that is stored: float32 of the same shape, whatever its rate."""
        if self.bits is None:
            return np.asarray(waveform, np.float32)
        return quantise(waveform, self.bits).astype(np.float32) / np.float32(1 << (self.bits - 1))


def quantise(waveform: np.ndarray, bits: int) -> np.ndarray:
    """Return round(x 2^(bits − 1)), halves to even, clipped to [−2^(bits − 1), 2^(bits − 1) − 1].

    Args:
        waveform: float32, any shape, finite.
        bits: 2 to 24, so that float32 holds each step.

    Returns:
        int32 of the same shape.
    """
    full = 1 << (bits - 1)
    return np.clip(np.rint(waveform * np.float32(full)), -full, full - 1).astype(np.int32)


def flac_bytes(samples: np.ndarray, sample_rate: int, bits: int = 24) -> bytes:
    """Return a FLAC file.

    Args:
        samples: int32 [samples, channels] or [samples], in the range of the bits.
        sample_rate: in Hz.
        bits: 16 or 24.

    Raises:
        EncodingError: FLAC does not support the sample rate or channel count.
    """
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    check_flac(sample_rate, channels)
    return _flac_bytes(samples, sample_rate, bits)


def flac_samples(file: bytes) -> tuple[np.ndarray, int]:
    """Return a FLAC file's int32 [samples, channels], in the range of its bits, and its bits a sample."""
    with soundfile.SoundFile(io.BytesIO(file)) as opened:
        bits = {"PCM_16": 16, "PCM_24": 24}[opened.subtype]
        return np.asarray(opened.read(dtype="int32", always_2d=True), np.int32) >> (32 - bits), bits


@functools.lru_cache(maxsize=256)
def check_flac(sample_rate: int, channels: int) -> None:
    """Ask libsndfile whether FLAC can hold a sound: up to 8 channels, and rates of some kinds up to 655.35 kHz.

    Raises:
        EncodingError: it cannot.
    """
    try:
        _flac_bytes(np.zeros((1, channels), np.int32), sample_rate, 24)
    except (soundfile.LibsndfileError, ValueError) as error:
        raise EncodingError(f"FLAC holds no sound of {sample_rate} Hz and {channels} channels") from error


def _flac_bytes(samples: np.ndarray, sample_rate: int, bits: int) -> bytes:
    out = io.BytesIO()
    scaled = samples.astype(np.int32) << (32 - bits)  # libsndfile takes the upper bits
    soundfile.write(out, scaled, sample_rate, format="FLAC", subtype=f"PCM_{bits}")
    return out.getvalue()


def _store_float32(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    del sample_rate
    return np.ascontiguousarray(waveform, "<f4")


def _store_int16(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    del sample_rate
    return quantise(waveform, 16).astype("<i2")


def _store_flac(waveform: np.ndarray, sample_rate: int) -> bytes:
    return flac_bytes(quantise(waveform, 24), sample_rate)


def _restore_int16(stored: Any) -> np.ndarray:
    return np.asarray(stored, np.int16) / np.float32(1 << 15)


def _restore_flac(stored: bytes) -> np.ndarray:
    samples, bits = flac_samples(stored)
    return samples.astype(np.float32) / np.float32(1 << (bits - 1))


def _shape(channels: tuple[int, ...]) -> tuple[int | None, ...]:
    if len(channels) > 1:
        return (None, None)
    return (None,) if not channels or channels[0] == 1 else (None, channels[0])


def _float32_feature(channels: tuple[int, ...]) -> Any:
    from tensorflow_datasets import features as f

    if len(channels) > 1:  # TFDS's Audio takes one channel count; a tensor of two unknown sizes is stored as bytes
        return f.Tensor(shape=_shape(channels), dtype=np.float32, encoding=f.Encoding.BYTES)
    return f.Audio(shape=_shape(channels), dtype=np.float32)


def _int16_feature(channels: tuple[int, ...]) -> Any:
    from tensorflow_datasets import features as f

    # As bytes: TFRecords know only int64, in which a negative sample would take ten.
    kind = f.Tensor if len(channels) > 1 else f.Audio
    doc = f.Documentation(desc="Samples; divided by 32768 they are the sound.", value_range="[-32768, 32767]")
    return kind(shape=_shape(channels), dtype=np.int16, encoding=f.Encoding.BYTES, doc=doc)


def _flac_feature(channels: tuple[int, ...]) -> Any:
    from tensorflow_datasets import features as f

    # As bytes that the user decodes: TFDS's Audio would decode FLAC by packages that dreambeam does without.
    del channels
    return f.Text(doc=f.Documentation(desc="A FLAC file, 24 bits a sample: soundfile.read(io.BytesIO(audio))."))


AUDIO_ENCODINGS: dict[str, AudioEncoding] = {
    "float32": AudioEncoding(
        _store_float32,
        lambda stored: np.asarray(stored, np.float32),
        _float32_feature,
        bits=None,
        says="Audio is float32, as it was dreamed, to the bit; full scale is 1.",
    ),
    "int16": AudioEncoding(
        _store_int16,
        _restore_int16,
        _int16_feature,
        bits=16,
        says="Audio is int16: samples × 32768, rounded half to even and clipped; divided by 32768 it is the sound.",
    ),
    "flac": AudioEncoding(
        _store_flac,
        _restore_flac,
        _flac_feature,
        bits=24,
        says="Audio is the bytes of a FLAC file of 24 bits: samples × 8388608, rounded half to even and clipped.",
    ),
}
"""The encodings by name: ``--audio-encoding``, `RunConfig.audio_encoding`."""


def check_encoding(encoding: str, sample_rate: int, channels: int) -> None:
    """Refuse a sound that an encoding cannot hold.

    Raises:
        EncodingError: with the encodings that can.
    """
    if encoding == "flac":
        try:
            check_flac(sample_rate, channels)
        except EncodingError as error:
            raise EncodingError(f"{error}: use --audio-encoding float32 or int16") from error
