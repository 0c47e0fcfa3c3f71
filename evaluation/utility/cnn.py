"""A compact convolutional network on log-mel spectrograms, trained from scratch.

Three convolutions of 3 by 3 with batch norm (Ioffe & Szegedy 2015), rectifier and pooling; mean and maximum over time
and frequency; one linear layer. Adam, in TensorFlow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from evaluation.utility.adam import Predict, draw_batches

CHANNELS = (16, 32, 64)
STEPS, BATCH, RATE, DECAY = 400, 32, 3e-3, 1e-3

ABOUT = f"frames of 80 ms, channels {CHANNELS}, {STEPS} steps of {BATCH}, rate {RATE:g}, decay {DECAY:g}"


def fit_cnn(features: np.ndarray, labels: np.ndarray, seed: int) -> Predict:
    """Fit the network on log-mels [examples, frames, bands] with soft labels [examples, classes]."""
    rng = np.random.default_rng(seed)
    middle, spread = features.mean(axis=(0, 1)), features.std(axis=(0, 1)) + 1e-3  # of each band
    unit = _image(features, middle, spread)
    network = _Network(rng, labels.shape[1])
    soft = labels.astype(np.float32)
    for number, rows in enumerate(draw_batches(len(unit), BATCH, STEPS, rng)):
        rate = RATE * 0.5 * (1 + np.cos(np.pi * number / STEPS))
        network.learn(unit[rows], soft[rows], np.float32(rate))

    def predict(features: np.ndarray) -> np.ndarray:
        unit = _image(features, middle, spread)
        parts = [network.infer(unit[first : first + 64]).numpy() for first in range(0, len(unit), 64)]
        return np.concatenate(parts)

    return predict


def _image(log_mels: np.ndarray, middle: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Scale each band, and average pairs of frames: [clips, frames, bands] to [clips, frames / 2, bands, 1]."""
    count, frames, bands = log_mels.shape
    pairs = log_mels[:, : frames // 2 * 2].reshape(count, frames // 2, 2, bands).mean(axis=2)
    return ((pairs - middle) / spread).astype(np.float32)[..., None]


def _variable(value: np.ndarray) -> Any:
    return tf.Variable(tf.constant(value, tf.float32), trainable=False)


class _Network(tf.Module):
    """The CNN: its variables, and one step of learning."""

    def __init__(self, rng: np.random.Generator, classes: int):
        super().__init__()
        self._kernels, self._scales, self._shifts, self._means, self._variances = ([] for _ in range(5))
        inside = 1
        for outside in CHANNELS:
            kernel = rng.normal(0, np.sqrt(2 / (9 * inside)), (3, 3, inside, outside))
            self._kernels.append(_variable(kernel))
            self._scales.append(_variable(np.ones(outside)))
            self._shifts.append(_variable(np.zeros(outside)))
            self._means.append(_variable(np.zeros(outside)))
            self._variances.append(_variable(np.ones(outside)))
            inside = outside
        dense = rng.normal(0, np.sqrt(1 / (2 * inside)), (2 * inside, classes))
        self._dense, self._bias = _variable(dense), _variable(np.zeros(classes))
        self._weights = [*self._kernels, *self._scales, *self._shifts, self._dense, self._bias]
        self._moments = [(_variable(np.zeros(each.shape)), _variable(np.zeros(each.shape))) for each in self._weights]
        self._done = _variable(np.zeros(()))

    def _logits(self, signal: Any, *, learning: bool) -> tf.Tensor:
        for number, kernel in enumerate(self._kernels):
            signal = tf.nn.conv2d(signal, kernel, 2 if number == 0 else 1, "SAME")
            mean, variance = self._means[number], self._variances[number]
            if learning:
                own_mean, own_variance = tf.nn.moments(signal, [0, 1, 2])
                mean.assign_add(0.1 * (own_mean - mean))
                variance.assign_add(0.1 * (own_variance - variance))
                mean, variance = own_mean, own_variance
            shift, scale = self._shifts[number], self._scales[number]
            signal = tf.nn.batch_normalization(signal, mean, variance, shift, scale, 1e-3)
            signal = tf.nn.relu(signal)
            signal = tf.nn.max_pool2d(signal, 2, 2, "SAME")
        pooled = tf.concat([tf.reduce_mean(signal, [1, 2]), tf.reduce_max(signal, [1, 2])], axis=1)
        return tf.matmul(pooled, self._dense) + self._bias

    @tf.function(reduce_retracing=True)
    def infer(self, signal: Any) -> tf.Tensor:
        """Return the logits."""
        return self._logits(signal, learning=False)

    @tf.function(reduce_retracing=True)
    def learn(self, signal: Any, labels: Any, rate: Any) -> None:
        """Take one step."""
        with tf.GradientTape() as tape:
            for weight in self._weights:
                tape.watch(weight)
            logits = self._logits(signal, learning=True)
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels, logits))
        gradients: Any = tape.gradient(loss, self._weights)
        self._done.assign_add(1.0)
        for weight, gradient, (first, second) in zip(self._weights, gradients, self._moments, strict=True):
            first.assign_add(0.1 * (gradient - first))
            second.assign_add(0.001 * (gradient**2 - second))
            unbiased = first / (1 - 0.9**self._done), second / (1 - 0.999**self._done)
            decay = DECAY * weight if weight.shape.rank > 1 else 0.0
            weight.assign_sub(rate * (unbiased[0] / (tf.sqrt(unbiased[1]) + 1e-8) + decay))
