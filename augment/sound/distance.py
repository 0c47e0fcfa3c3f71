"""How far a sound is from another: SNR, loudness, peak.

SNR in dB is 10 log10(sum x^2 / sum (y - x)^2) over the whole clip, infinite where nothing changed. Loudness is
integrated loudness in LUFS (ITU-R BS.1770-4, by pyloudnorm). Sounds are [samples, channels] at their own rate.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import pyloudnorm
import soxr

_BLOCK_SECONDS = 0.4  # of BS.1770: a shorter sound is repeated to fill one


MIN_RATE = 8000  # Hz; the weighting's filters lie above half of a lower rate, and are unstable there


MAX_CHANNELS = 5  # of BS.1770; of more, the mix is measured


def lufs(sound: np.ndarray, sample_rate: int) -> float:
    """Return the integrated loudness of a sound [samples, channels] in LUFS (ITU-R BS.1770-4), -inf for silence."""
    channels = sound if sound.shape[1] <= MAX_CHANNELS else sound.mean(axis=1, keepdims=True)
    if sample_rate < MIN_RATE:
        channels, sample_rate = soxr.resample(channels, sample_rate, 2 * MIN_RATE), 2 * MIN_RATE
    needed = int(_BLOCK_SECONDS * sample_rate) + 1
    if len(channels) < needed:
        channels = np.tile(channels, (-(-needed // max(1, len(channels))), 1))
    with np.errstate(all="ignore"):  # silence has the logarithm of 0; a sound that is not finite has no loudness
        return float(_meter(sample_rate).integrated_loudness(channels.astype(np.float64)))


@functools.lru_cache(maxsize=32)
def _meter(sample_rate: int) -> pyloudnorm.Meter:
    return pyloudnorm.Meter(sample_rate)


def snr_db(source: np.ndarray, dreamed: np.ndarray) -> float:
    """Return the SNR in dB of a dreamed sound against its source, both [samples] or [samples, channels]."""
    signal = float(np.sum(np.square(source, dtype=np.float64)))
    change = float(np.sum(np.square(dreamed.astype(np.float64) - source)))
    if change == 0:
        return float("inf")
    return float(10 * np.log10(signal / change)) if signal else float("-inf")


def at_snr(source: np.ndarray, change: np.ndarray, wanted_db: float) -> np.ndarray:
    """Add a change at exactly an SNR: y = x + a c with sum x^2 / sum (a c)^2 = 10^(SNR / 10).

    Args:
        source: float32 [samples, channels].
        change: [samples, channels] at any scale.
        wanted_db: the SNR in dB.

    Returns:
        float32 [samples, channels]; the source itself where it or the change is silent.
    """
    present = snr_db(source, source.astype(np.float64) + change)
    if not np.isfinite(present):
        return source
    return (source + change * 10 ** ((present - wanted_db) / 20)).astype(np.float32)


@dataclass(frozen=True)
class Distance:
    """How far a written sound is from what it started from.

    Attributes:
        snr_db: 10 log10(sum x^2 / sum (y - x)^2) over all samples and channels; infinite where nothing changed.
        lufs_before: loudness of the start, LUFS; -inf for silence, as all three.
        lufs_after: of the result.
        lufs_change: of the difference.
        peak: greatest magnitude of a sample of the result.
    """

    snr_db: float
    lufs_before: float
    lufs_after: float
    lufs_change: float
    peak: float


def distance(source: np.ndarray, dreamed: np.ndarray, sample_rate: int) -> Distance:
    """Measure how far a sound is from its source, both [samples, channels] as written."""
    change = dreamed.astype(np.float64) - source
    loudness = [lufs(each, sample_rate) for each in (source, dreamed, change)]
    return Distance(snr_db(source, dreamed), *loudness, peak=float(np.max(np.abs(dreamed), initial=0.0)))
