"""Tricks of feature visualization that make a dream less brittle: jitter, octaves, smoothing. All are off by default.

Jitter moves the sound a little, anew at each step, so that what is dreamed does not hang on one alignment or level
(Olah et al. 2017, "transformation robustness"). Its amounts are the same for every clip: the fractional parts of
multiples of the golden ratio and of the square root of 2, which fill the range evenly and need no random numbers.
Octaves go from coarse to fine (Mordvintsev et al. 2015, there in image size; here in frequency). Smoothing blurs a
step. All but jitter are linear filters, done by FFT along an axis, each clip for itself.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

_GOLDEN, _SQUARE_ROOT = (math.sqrt(5) - 1) / 2, math.sqrt(2) - 1


def jitter(number: tf.Tensor, most: float, period: float = _GOLDEN) -> tf.Tensor:
    """Return the numbered step's amount of jitter, in [-most, most]; the first step's is 0."""
    turns = (number - 1) * period
    return most * (2 * (turns + 0.5 - tf.floor(turns + 0.5)) - 1)


def shift(x: tf.Tensor, number: tf.Tensor, most_samples: int) -> tf.Tensor:
    """Shift waveforms [batch, samples] by the numbered step's amount; what leaves at one end enters at the other."""
    return tf.roll(x, tf.cast(tf.round(jitter(number, float(most_samples))), tf.int32), axis=1)


def gain(x: tf.Tensor, number: tf.Tensor, most_db: float) -> tf.Tensor:
    """Turn waveforms up or down by the numbered step's amount."""
    return x * tf.pow(10.0, jitter(number, most_db, _SQUARE_ROOT) / 20)


def band_limit(number: tf.Tensor, steps: int, octaves: int) -> tf.Tensor:
    """Return the highest relative frequency (1 is half the sample rate) that the numbered step may change.

    The steps are shared out evenly between the octaves; the last share may change everything.
    """
    stage = tf.floor((number - 1) * octaves / max(1, steps))
    return tf.pow(2.0, stage - (octaves - 1))


def low_pass(values: tf.Tensor, limit: tf.Tensor, axis: int) -> tf.Tensor:
    """Remove what lies above a relative frequency from waveforms [batch, samples] (axis 1).

    Spectra [batch, frames, bins] (axis 2) lose the bins themselves.
    """
    if axis == 2:
        bins = tf.shape(values)[2]
        keep = tf.range(bins) <= tf.cast(limit * tf.cast(bins - 1, tf.float32), tf.int32)
        return values * tf.cast(keep, values.dtype)
    spectra = tf.signal.rfft(values)
    bins = tf.shape(spectra)[1]
    keep = tf.range(bins) <= tf.cast(limit * tf.cast(bins - 1, tf.float32), tf.int32)
    return tf.signal.irfft(spectra * tf.cast(keep, spectra.dtype), tf.shape(values)[1:2])


def blur(values: tf.Tensor, width: float) -> tf.Tensor:
    """Blur values [batch, samples] or [batch, frames, bins] along all axes but the first by a Gaussian.

    Args:
        values: real.
        width: standard deviation in elements; the ends meet (the filter is circular).
    """
    for axis in range(1, len(values.shape)):
        order = list(range(len(values.shape)))
        order[axis], order[-1] = order[-1], order[axis]
        turned = tf.transpose(values, order)
        size = tf.shape(turned)[-1]
        spectra = tf.signal.rfft(turned)
        frequencies = tf.cast(tf.range(tf.shape(spectra)[-1]), tf.float32) / tf.cast(size, tf.float32)
        response = tf.exp(-2 * (np.pi * width * frequencies) ** 2)
        turned = tf.signal.irfft(spectra * tf.cast(response, spectra.dtype), [size])
        values = tf.transpose(turned, order)
    return values
