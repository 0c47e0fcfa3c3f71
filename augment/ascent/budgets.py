"""How far a dream may go from its source: limits that every step is projected onto, and the written sound once more.

SNR in dB is 10 log10(sum x^2 / sum (y - x)^2) over the whole clip, infinite where nothing changed. Loudness is
integrated loudness in LUFS (ITU-R BS.1770-4, by pyloudnorm). The steps work on the model's input, float32 [batch,
samples] at 16 kHz; `Budget.settle` on the sound as it is written, [samples, channels] at its own rate: there the limits
are met exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from augment.sound.distance import lufs, snr_db

_SAFETY = 1 - 1e-6  # rounding to float32 must not carry a change over its limit


@dataclass(frozen=True)
class Budget:
    """The limits of a recipe, None where there is none.

    Attributes:
        snr_db: lowest SNR of the sound against the change, in dB.
        change_lu: highest loudness of the change relative to the sound's, in LU: -20 is 20 LU below it.
        change_lufs: highest loudness of the change, in LUFS.
        peak: highest magnitude of a sample, or the source's own where that is higher.
    """

    snr_db: float | None = None
    change_lu: float | None = None
    change_lufs: float | None = None
    peak: float = 1.0

    @property
    def has_loudness(self) -> bool:
        """Whether loudness is limited."""
        return self.change_lu is not None or self.change_lufs is not None

    @property
    def has_distance(self) -> bool:
        """Whether it is limited how far a dream goes from its source, beside its peak."""
        return self.snr_db is not None or self.has_loudness

    def share(self, source: np.ndarray, change: np.ndarray, sample_rate: int) -> float:
        """Return what a change [samples, channels] must be scaled by to keep to SNR and loudness: at most 1."""
        found = math.inf if self.snr_db is None else snr_db(source, source.astype(np.float64) + change)
        return self.share_of(found, self.loudness_ratio(source, change, sample_rate) if self.has_loudness else math.inf)

    def share_of(self, found_db: float, loudness_ratio: float = math.inf) -> float:
        """Return the same for a change of that SNR and that ratio of allowed to found loudness (`ratio_of`)."""
        share = min(1.0, loudness_ratio)
        if self.snr_db is not None:
            excess = self.snr_db - found_db
            share = min(share, 10 ** (-excess / 20) if np.isfinite(excess) else float(excess < 0))
        return share if share == 1 else share * _SAFETY

    def settle(self, source: np.ndarray, dreamed: np.ndarray, sample_rate: int) -> np.ndarray:
        """Bring a dreamed sound within all limits as it is written, both float32 [samples, channels]."""
        change = dreamed.astype(np.float64) - source
        share = self.share(source, change, sample_rate)
        if share < 1:  # loudness is gated: what is left may weigh more than in proportion
            change *= share
            if self.has_loudness:
                change *= self.share(source, change, sample_rate)
        limit = max(self.peak, float(np.max(np.abs(source), initial=0.0)))
        return np.clip(source + change, -limit, limit).astype(np.float32) if share < 1 else clip(dreamed, limit)

    def loudness_ratio(self, source: np.ndarray, change: np.ndarray, sample_rate: int) -> float:
        """Return what a change must be scaled by to be just as loud as it may be, not negative; it may be infinite."""
        relative = lufs(source, sample_rate) if self.change_lu is not None else math.nan
        return self.ratio_of(relative, lufs(change, sample_rate))

    def ratio_of(self, source_lufs: float, change_lufs: float) -> float:
        """Return the same for a source and a change of these loudnesses in LUFS; the source's may not matter."""
        limits = []
        if self.change_lufs is not None:
            limits.append(self.change_lufs)
        if self.change_lu is not None:
            limits.append(source_lufs + self.change_lu)
        return math.inf if change_lufs == -math.inf else 10 ** ((min(limits) - change_lufs) / 20)


def clip(sound: np.ndarray, limit: float) -> np.ndarray:
    """Limit a sound to [-limit, limit]: the nearest point of the box."""
    return np.clip(sound, -limit, limit).astype(np.float32, copy=False)


def share_within(allowed: tf.Tensor, rms_change: tf.Tensor) -> tf.Tensor:
    """Return what changes of these rms [batch] must be scaled by to keep to the rms allowed: [batch], at most 1.

    Scaling is the projection onto the ball around the source: the nearest change that keeps to the limit. An infinite
    allowed rms is no limit.
    """
    return tf.where(rms_change > allowed, tf.math.divide_no_nan(allowed, rms_change), tf.ones_like(allowed))


def within_peak(y: tf.Tensor, x: tf.Tensor, peak: float) -> tf.Tensor:
    """Limit y to [-peak, peak], or to the source's own peak where that is higher: the nearest point of the box."""
    limit = tf.maximum(peak, tf.reduce_max(tf.abs(x), axis=1, keepdims=True))
    return tf.clip_by_value(y, -limit, limit)
