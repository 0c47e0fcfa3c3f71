"""YAMNet's layers: the log-mel spectrogram, the first convolution, and the folding of batch norms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from augment.determinism.row_stable import conv2d, dense

FRAME_LENGTH, FRAME_HOP, FFT_LENGTH = 400, 160, 512
"""Samples: the spectrogram's 25 ms Hann frames, every 10 ms."""

MEL_BANDS, MEL_LOW_HZ, MEL_HIGH_HZ, LOG_OFFSET = 64, 125.0, 7500.0, 0.001

PATCH_FRAMES, PATCH_HOP_FRAMES = 96, 48
"""Frames: a patch is 0.96 s, its hop 0.48 s."""

PATCH_SAMPLES = (PATCH_FRAMES - 1) * FRAME_HOP + FRAME_LENGTH
"""Samples that a first patch needs (0.975 s); shorter clips are padded with zeros."""

PATCH_HOP_SAMPLES = PATCH_HOP_FRAMES * FRAME_HOP

BATCH_NORM_EPSILON = 1e-4

STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
"""Of the depthwise convolutions, layer2 to layer14."""


def log_mel(waveforms: tf.Tensor, mel: tf.Tensor) -> tf.Tensor:
    """Return log(|STFT| mel + 0.001); with the gradient that follows, written out, it takes a third less time.

    Of m = |X|, dL/dx = sum over frames of window * irfft(dL/dm X / |X|) * N / 2: the bins at 0 Hz and at half the
    sample rate would count twice as much, but the mel bands leave them out. The gradient of |X| at 0 is 0.
    """

    @tf.custom_gradient
    def forward(samples: tf.Tensor) -> Any:
        spectra = tf.signal.stft(samples, FRAME_LENGTH, FRAME_HOP, FFT_LENGTH)
        real, imaginary = tf.math.real(spectra), tf.math.imag(spectra)
        magnitudes = tf.sqrt(real * real + imaginary * imaginary)
        bands = dense(magnitudes, mel) + LOG_OFFSET

        def backward(gradient: tf.Tensor) -> tf.Tensor:
            by_magnitude = dense(gradient / bands, tf.transpose(mel)) * (FFT_LENGTH / 2)
            share = tf.math.divide_no_nan(by_magnitude, magnitudes)
            frames = tf.signal.irfft(tf.complex(real * share, imaginary * share), [FFT_LENGTH])[..., :FRAME_LENGTH]
            by_samples = tf.signal.overlap_and_add(frames * tf.signal.hann_window(FRAME_LENGTH), FRAME_HOP)
            beyond: Any = tf.shape(samples)[1] - tf.shape(by_samples)[1]
            return tf.pad(by_samples, [[0, 0], [0, beyond]])

        return tf.math.log(bands), backward

    return forward(waveforms)


def first_convolution(patches: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolve [rows, 96, 64, 1] by a kernel [3, 3, 1, 32] with stride 2 and SAME padding.

    The gradient of the library's convolution rounds differently with the number of rows and threads; this one does not,
    and takes half the time. Every place of the input has its own parity of row and column, which says by which taps it
    is seen.
    """

    @tf.custom_gradient
    def forward(signal: tf.Tensor) -> Any:
        def backward(gradient: tf.Tensor) -> tf.Tensor:
            height, width = PATCH_FRAMES // 2, MEL_BANDS // 2
            rows = tf.reshape(gradient, [-1, height * width, kernel.shape[3]])
            taps = dense(rows, tf.transpose(tf.reshape(kernel, [9, -1])))
            tap = [tf.reshape(each, [-1, height, width]) for each in tf.unstack(taps, num=9, axis=2)]
            even_even = tap[0] + _later(tap[2], 2) + _later(tap[6] + _later(tap[8], 2), 1)
            even_odd, odd_even, odd_odd = tap[1] + _later(tap[7], 1), tap[3] + _later(tap[5], 2), tap[4]
            even_rows = tf.reshape(tf.stack([even_even, even_odd], -1), [-1, height, MEL_BANDS])
            odd_rows = tf.reshape(tf.stack([odd_even, odd_odd], -1), [-1, height, MEL_BANDS])
            return tf.reshape(tf.stack([even_rows, odd_rows], 2), [-1, PATCH_FRAMES, MEL_BANDS, 1])

        return conv2d(signal, kernel, 2), backward

    return forward(patches)


@tf.custom_gradient
def rounded_relu(signal: tf.Tensor) -> Any:
    """Return max(signal, 0) in bfloat16; its gradient is cut before it is widened, which moves less memory."""
    rounded = tf.cast(tf.nn.relu(signal), tf.bfloat16)
    return rounded, lambda gradient: tf.cast(tf.raw_ops.ReluGrad(gradients=gradient, features=rounded), tf.float32)


def _later(values: tf.Tensor, axis: int) -> tf.Tensor:
    """Shift values by one place along an axis; zeros come in, the last ones go into the padding."""
    start = [[0, 0]] * len(values.shape)
    start[axis] = [1, 0]
    kept = values[:, :-1] if axis == 1 else values[:, :, :-1]
    return tf.pad(kept, start)


def fold(variables: Mapping[str, np.ndarray]) -> list[tuple[str, tf.Tensor, tf.Tensor, int]]:
    """Return (name, kernel, bias, stride) of every convolution, its batch norm folded in.

    relu(gamma (W x - mean) / sqrt(var + eps) + beta) with gamma = 1 is relu((W / sigma) x + beta - mean / sigma).
    """
    names = [("layer1/conv", "kernel", 2)]
    for number, stride in enumerate(STRIDES, start=2):
        names.append((f"layer{number}/depthwise_conv", "depthwise_kernel", stride))
        names.append((f"layer{number}/pointwise_conv", "kernel", 1))
    folded = []
    for name, kernel_name, stride in names:
        sigma = np.sqrt(variables[f"{name}/bn/moving_variance"].astype(np.float64) + BATCH_NORM_EPSILON)
        kernel = variables[f"{name}/{kernel_name}"]  # [3, 3, in, out], depthwise [3, 3, in, 1]
        kernel = kernel / (sigma[:, None] if "depthwise" in name else sigma)
        bias = variables[f"{name}/bn/beta"] - variables[f"{name}/bn/moving_mean"] / sigma
        folded.append((name, tf.constant(kernel, tf.float32), tf.constant(bias, tf.float32), stride))
    return folded
