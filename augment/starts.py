"""What a dream starts from: the clip, noise instead of it, near silence, or a mix of clip and noise.

Noise is drawn from a number (`augment.draws`) and is as loud as the clip (its rms), so that a dream from noise fits
among the clips. White noise has the same power at every frequency, pink noise falls by 3 dB an octave from 20 Hz.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

SILENCE_DB = -60.0
"""Rms of the noise in near silence, dB of full scale: something for the gradient to hold on to."""

MIX_DB = -6.0
"""Level of the white noise in a mix, dB relative to the clip."""

NO_CLIP_DB = -20.0
"""Rms of noise where there is no clip to match, dB of full scale."""

_PINK_FROM_HZ = 20.0


class StartError(ValueError):
    """There is nothing to start from."""


def clip(waveform: np.ndarray, sample_rate: int, number: int) -> np.ndarray:
    """Return the clip itself."""
    del sample_rate, number
    return waveform


def white(waveform: np.ndarray, sample_rate: int, number: int) -> np.ndarray:
    """Return white noise at the clip's rms."""
    del sample_rate
    return _at_rms(_white(waveform.shape, number), _rms(waveform))


def pink(waveform: np.ndarray, sample_rate: int, number: int) -> np.ndarray:
    """Return pink noise at the clip's rms."""
    spectra = np.fft.rfft(_white(waveform.shape, number), axis=0)
    frequencies = np.fft.rfftfreq(len(waveform), 1 / sample_rate)
    spectra /= np.sqrt(np.maximum(frequencies, _PINK_FROM_HZ))[:, None]
    return _at_rms(np.fft.irfft(spectra, len(waveform), axis=0), _rms(waveform))


def silence(waveform: np.ndarray, sample_rate: int, number: int) -> np.ndarray:
    """Return near silence: white noise at `SILENCE_DB`."""
    del sample_rate
    return _at_rms(_white(waveform.shape, number), 10 ** (SILENCE_DB / 20))


def mix(waveform: np.ndarray, sample_rate: int, number: int) -> np.ndarray:
    """Return the clip with white noise at `MIX_DB`."""
    return (waveform + 10 ** (MIX_DB / 20) * white(waveform, sample_rate, number)).astype(np.float32)


STARTS: dict[str, Callable[[np.ndarray, int, int], np.ndarray]] = {
    "clip": clip,
    "white": white,
    "pink": pink,
    "silence": silence,
    "mix": mix,
}
"""(waveform [samples, channels], Hz, draw) -> float32 of the same shape."""


def without_clip(kind: str, seconds: float, sample_rate: int, number: int) -> np.ndarray:
    """Return a start of so many seconds without a clip, float32 [samples, 1], noise at `NO_CLIP_DB`.

    Raises:
        StartError: the kind needs a clip.
    """
    if kind not in ("white", "pink", "silence"):
        raise StartError(f"start {kind} needs a clip; without one, start from white, pink or silence")
    level = np.full((max(1, round(seconds * sample_rate)), 1), 10 ** (NO_CLIP_DB / 20), np.float32)
    return STARTS[kind](level, sample_rate, number)


def _white(shape: tuple[int, ...], number: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(number)).standard_normal(shape)


def _rms(waveform: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))


def _at_rms(noise: np.ndarray, rms: float) -> np.ndarray:
    own = _rms(noise)
    return (noise * (rms / own if own else 0.0)).astype(np.float32)
