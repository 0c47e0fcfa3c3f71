"""Distortion: how far an output is from its original.

Takes sounds as they are written, float32 [samples, channels] at their own sample rate, the original first; both have
the same shape. Measures are in dB unless stated otherwise.

| measure | equal sounds |
|---|--:|
| SNR, 10 log10(sum x² / sum (y − x)²) | infinite |
| segmental SNR, clamped | 35 |
| log-spectral distance | 0 |
| loudness (LUFS) after, minus before | 0 |

Sources: Hansen & Pellom, "An effective quality evaluation protocol for speech enhancement algorithms", ICSLP 1998
(segmental SNR: 30 ms frames, each clamped to −10..35 dB; theirs overlap, these do not); Gray & Markel, "Distance
measures for speech processing", IEEE ASSP 24 (1976), section II (the rms of the difference of log spectra); ITU-R
BS.1770-4 (loudness).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from augment.sound.distance import lufs, snr_db

FRAME_SECONDS = 0.03
"""Frame of segmental SNR."""

CLAMP_DB = (-10.0, 35.0)
"""Limits of each frame's SNR: a change beyond them is inaudible, or leaves nothing but noise."""

SPECTRUM_SECONDS = 0.032
"""Frame of the log-spectral distance: Hann windows, half overlapping."""

FLOOR_DB = -100.0
"""Least power of a bin, against a sine at full scale, so that digital silence has a spectrum."""


@dataclass(frozen=True)
class Distortion:
    """How far an output is from its original.

    Attributes:
        snr_db: over all samples and channels; infinite for no change, minus infinite for a change of silence.
        segmental_snr_db: the mean over frames, each clamped.
        log_spectral_distance_db: the mean over frames.
        lufs_before: loudness of the original, LUFS; -inf for silence, as the next two.
        lufs_after: loudness of the output.
        lufs_change: loudness of the change.
        lufs_difference: after minus before, LU; nan if one is silent.
        peak: greatest magnitude of the output's samples; 1 is full scale.
    """

    snr_db: float
    segmental_snr_db: float
    log_spectral_distance_db: float
    lufs_before: float
    lufs_after: float
    lufs_change: float
    lufs_difference: float
    peak: float


@dataclass(frozen=True, eq=False)
class Original:
    """The original of several outputs: float32 [samples, channels] at a sample rate in Hz."""

    sound: np.ndarray
    sample_rate: int

    @cached_property
    def loudness(self) -> float:
        """Loudness in LUFS."""
        return lufs(self.sound, self.sample_rate)

    @cached_property
    def spectrum(self) -> np.ndarray:
        """The `log_spectrum`."""
        return log_spectrum(self.sound, self.sample_rate)

    def measure(self, output: np.ndarray) -> Distortion:
        """Measure an output [samples, channels]."""
        after = lufs(output, self.sample_rate)
        change = output.astype(np.float64) - self.sound
        both = np.isfinite(self.loudness) and np.isfinite(after)
        return Distortion(
            snr_db=snr_db(self.sound, output),
            segmental_snr_db=segmental_snr_db(self.sound, output, self.sample_rate),
            log_spectral_distance_db=_spectral_distance(self.spectrum, log_spectrum(output, self.sample_rate)),
            lufs_before=self.loudness,
            lufs_after=after,
            lufs_change=lufs(change, self.sample_rate),
            lufs_difference=after - self.loudness if both else float("nan"),
            peak=float(np.max(np.abs(output), initial=0.0)),
        )


def segmental_snr_db(original: np.ndarray, output: np.ndarray, sample_rate: int) -> float:
    """Return the mean over frames of 10 log10(sum x² / sum (y − x)²), each limited to `CLAMP_DB`.

    An unchanged frame counts as the upper limit, silent or not; a changed silent one as the lower. The last frame may
    be shorter.
    """
    length = max(1, round(FRAME_SECONDS * sample_rate))
    signal = _frame_sums(np.square(original, dtype=np.float64), length)
    change = _frame_sums(np.square(output.astype(np.float64) - original), length)
    ratio = np.full(len(signal), np.inf)
    np.divide(signal, change, out=ratio, where=change > 0)
    with np.errstate(divide="ignore"):
        return float(np.mean(np.clip(10 * np.log10(ratio), *CLAMP_DB)))


def log_spectral_distance_db(original: np.ndarray, output: np.ndarray, sample_rate: int) -> float:
    """Return the mean over frames and channels of sqrt(mean over bins of (10 log10 |X|² − 10 log10 |Y|²)²)."""
    return _spectral_distance(log_spectrum(original, sample_rate), log_spectrum(output, sample_rate))


def log_spectrum(sound: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the power spectrum in dB below a sine at full scale: float32 [channels, frames, bins].

    A sound shorter than a frame is one frame, padded with zeros.
    """
    length = max(16, 2 * round(SPECTRUM_SECONDS * sample_rate / 2))
    padded = np.pad(sound.T, ((0, 0), (0, max(0, length - len(sound)))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, length, axis=1)[:, :: length // 2]
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)
    power = np.square(np.abs(np.fft.rfft(frames * window, axis=2))) / (length / 4) ** 2
    return (10 * np.log10(np.maximum(power, 10 ** (FLOOR_DB / 10)))).astype(np.float32)


def _spectral_distance(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.mean(np.sqrt(np.mean(np.square(first - second, dtype=np.float64), axis=2))))


def _frame_sums(squares: np.ndarray, length: int) -> np.ndarray:
    """Sum squares [samples, channels] over frames: [frames]."""
    return np.add.reduceat(squares.sum(axis=1), np.arange(0, max(1, len(squares)), length))
