"""How far a dream may go from its source: limits that every additive step is projected onto.

Waveforms are float32 [batch, samples]; SNR in dB is 10 log10(sum x^2 / sum (y - x)^2) over the whole clip, infinite
where nothing changed.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def within_snr(y: tf.Tensor, x: tf.Tensor, snr_db: float, rms_x: tf.Tensor, rms_change: tf.Tensor) -> tf.Tensor:
    """Scale the change y - x down where its SNR is below the limit: the nearest point of the ball around x.

    Args:
        y: the dreamed clips [batch, samples].
        x: their sources.
        snr_db: the lowest SNR allowed, in dB.
        rms_x: [batch], of the sources.
        rms_change: [batch], of y - x.
    """
    allowed = rms_x * 10.0 ** (-snr_db / 20.0)
    scale = tf.minimum(1.0, tf.math.divide_no_nan(allowed, rms_change))
    return x + (y - x) * scale[:, None]


def within_peak(y: tf.Tensor, x: tf.Tensor, peak: float) -> tf.Tensor:
    """Limit y to [-peak, peak], or to the source's own peak where that is higher: the nearest point of the box."""
    limit = tf.maximum(peak, tf.reduce_max(tf.abs(x), axis=1, keepdims=True))
    return tf.clip_by_value(y, -limit, limit)


def snr_db(source: np.ndarray, dreamed: np.ndarray) -> float:
    """Return the SNR in dB of a dreamed sound against its source, both [samples] or [samples, channels]."""
    signal = float(np.sum(np.square(source, dtype=np.float64)))
    change = float(np.sum(np.square(dreamed.astype(np.float64) - source)))
    if change == 0:
        return float("inf")
    return float(10 * np.log10(signal / change)) if signal else float("-inf")
