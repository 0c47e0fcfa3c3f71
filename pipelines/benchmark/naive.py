"""The loop that one would write with TensorFlow: what ``dreambeam benchmark --against naive`` holds dreambeam against.

One clip at a time, each operation by itself (eager), patches every 0.1 s as in the paper's own setting, the gradient of
the mean score; YAMNet's layers are TensorFlow's own. It is a peer to measure against, not a way to dream: nothing else
uses it.

Source of the settings: Cámara Halac & Delgadino, DreamSound, ICAD 2021 (a hop of 0.1 s, additive and hard-cut steps).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from augment.models.yamnet import DreamingModel
from augment.models.yamnet_layers import (
    FFT_LENGTH,
    FRAME_HOP,
    FRAME_LENGTH,
    LOG_OFFSET,
    MEL_BANDS,
    PATCH_FRAMES,
)

HOP_FRAMES = 10
"""Between patches: 0.1 s."""

STEP_SIZE, THRESHOLD = 0.02, 0.1
_FRAME, _HOP = 1024, 256


def plain_scores(model: DreamingModel, waveforms: tf.Tensor, hop_frames: int) -> tf.Tensor:
    """Return the scores [batch, patches, 521] of waveforms [batch, samples] by TensorFlow's own operations only."""
    spectra = tf.signal.stft(waveforms, FRAME_LENGTH, FRAME_HOP, FFT_LENGTH)
    log_mel = tf.math.log(tf.matmul(tf.abs(spectra), model.mel_weights) + LOG_OFFSET)
    patches = tf.signal.frame(log_mel, PATCH_FRAMES, hop_frames, axis=1)
    signal = tf.reshape(patches, [-1, PATCH_FRAMES, MEL_BANDS, 1])
    for name, kernel, bias, stride in model.convolutions:
        if "depthwise" in name:
            signal = tf.nn.depthwise_conv2d(signal, kernel, [1, stride, stride, 1], "SAME")
        else:
            signal = tf.nn.conv2d(signal, kernel, stride, "SAME")
        signal = tf.nn.relu(tf.nn.bias_add(signal, bias))
    kernel, bias = model.last_layer
    scores = tf.sigmoid(tf.matmul(tf.reduce_mean(signal, [1, 2]), kernel) + bias)
    return tf.reshape(scores, [tf.shape(waveforms)[0], -1, len(model.classes)])


def plain_gradient(model: DreamingModel) -> Callable[..., Any]:
    """Return the batched gradient of the targets' mean scores, traced: the most that plain TensorFlow gives."""

    @tf.function(input_signature=[tf.TensorSpec([None, None]), tf.TensorSpec([None], tf.int32)])
    def gradient(waveforms: tf.Tensor, targets: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(waveforms)
            scores = tf.reduce_mean(plain_scores(model, waveforms, PATCH_FRAMES // 2), axis=1)
            objective = tf.gather(scores, targets, batch_dims=1)
        return tape.gradient(objective, waveforms)

    return gradient


def deep_dream(waveform: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    """Add the gradient [1, samples]."""
    return waveform + STEP_SIZE * gradient


def hard_cut_add(waveform: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    """Add the gradient [1, samples] where the sound is strong."""
    sound = tf.signal.stft(waveform, _FRAME, _HOP, pad_end=True)
    mask = tf.cast(tf.abs(sound) / tf.reduce_max(tf.abs(sound)) > THRESHOLD, tf.complex64)
    change = tf.signal.inverse_stft(
        mask * tf.signal.stft(gradient, _FRAME, _HOP, pad_end=True),
        _FRAME,
        _HOP,
        window_fn=tf.signal.inverse_stft_window_fn(_HOP),
    )
    return waveform + STEP_SIZE * change[:, : waveform.shape[1]]


FUNCTIONS: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "deep_dream": deep_dream,
    "hard_cut_add": hard_cut_add,
}
"""What the loop can do."""


def dream(
    model: DreamingModel, clips: Sequence[np.ndarray], targets: Sequence[int], *, function: str, steps: int
) -> list[np.ndarray]:
    """Dream clips [samples at 16 kHz], one after the other, toward classes; return their waveforms."""
    found = []
    for clip, target in zip(clips, targets, strict=True):
        waveform = tf.constant(clip[None], tf.float32)
        for _ in range(steps):
            with tf.GradientTape() as tape:
                tape.watch(waveform)
                objective = tf.reduce_mean(plain_scores(model, waveform, HOP_FRAMES)[:, :, target])
            gradient: Any = tape.gradient(objective, waveform)
            gradient /= tf.math.reduce_std(gradient) + 1e-12
            waveform = FUNCTIONS[function](waveform, gradient)
        found.append(waveform.numpy()[0])
    return found
