"""YAMNet for dreaming: the official weights in a batched network with every layer addressable.

Waveforms are float32 [batch, samples] at 16 kHz, zero beyond each clip's own length. YAMNet reads them as patches:
0.96 s (96 frames of 25 ms, hop 10 ms) every 0.48 s, and scores each patch; a clip's score is the mean over its patches.
Batch normalisation is folded into the convolutions, which leaves the scores as they are (to float rounding) and saves
a fifth of the time.

Source: Plakal & Ellis, YAMNet, https://github.com/tensorflow/models/tree/master/research/audioset/yamnet; Howard et
al. 2017, MobileNets. The layers are named as there; a folded convolution answers to its batch-norm's name.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from augment.determinism.row_stable import at_least, conv2d, dense, depthwise_conv2d, in_packets
from augment.models import weights
from augment.sound.samples import SAMPLE_RATE
from augment.targets.classes import ClassList, yamnet_classes

FRAME_LENGTH, FRAME_HOP, FFT_LENGTH = 400, 160, 512
"""Samples: the spectrogram's 25 ms Hann frames, every 10 ms."""

MEL_BANDS, MEL_LOW_HZ, MEL_HIGH_HZ, LOG_OFFSET = 64, 125.0, 7500.0, 0.001

PATCH_FRAMES, PATCH_HOP_FRAMES = 96, 48
"""Frames: a patch is 0.96 s, its hop 0.48 s."""

PATCH_SAMPLES = (PATCH_FRAMES - 1) * FRAME_HOP + FRAME_LENGTH
"""Samples that a first patch needs (0.975 s); shorter clips are padded with zeros."""

PATCH_HOP_SAMPLES = PATCH_HOP_FRAMES * FRAME_HOP

BATCH_NORM_EPSILON = 1e-4

MAX_BATCH_PATCHES = 640
"""Longer clips make smaller batches: 64 clips of 5 s, 32 of 10 s."""

_BLOCK_PATCHES = 120  # of a long clip that are scored at a time, about a minute

_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)  # of the depthwise convolutions, layer2 to layer14

LAYERS = (
    "log_mel",
    *("layer1/conv/bn", "layer1/relu"),
    *(
        f"layer{number}/{part}"
        for number in range(2, 2 + len(_STRIDES))
        for part in ("depthwise_conv/bn", "depthwise_conv/relu", "pointwise_conv/bn", "pointwise_conv/relu")
    ),
    *("embeddings", "logits", "scores"),
)
"""Names of the layers that `DreamingModel.activations` gives, from input to output."""


def patch_count(samples: int | np.ndarray) -> Any:
    """Return how many patches YAMNet makes of clips of so many samples: at least 1, the last one padded."""
    beyond_first = np.maximum(0, np.asarray(samples) - PATCH_SAMPLES)
    return 1 + -(-beyond_first // PATCH_HOP_SAMPLES)


def padded_length(samples: int) -> int:
    """Return the samples that a clip is padded to before it enters a batch.

    It holds YAMNet's own patches exactly up to 15 of them, and at most an eighth more beyond, so that clips of many
    lengths share few shapes. It depends on the clip alone, never on its neighbours: sums over the padded axis are
    then the same, bit by bit, in every batch.
    """
    patches = int(patch_count(samples))
    grid = 1 << max(0, patches.bit_length() - 4)
    patches = -(-patches // grid) * grid
    return PATCH_SAMPLES + (patches - 1) * PATCH_HOP_SAMPLES


class DreamingModel(tf.Module):
    """YAMNet as a batched, differentiable function of waveforms.

    Attributes:
        classes: the 521 classes, in the order of the scores.
        identity: sha256 over the variables (`augment.models.weights.identity`).
    """

    sample_rate = SAMPLE_RATE
    layers = LAYERS
    link = "sigmoid"
    patch_count = staticmethod(patch_count)
    padded_length = staticmethod(padded_length)

    def __init__(self, variables: Mapping[str, np.ndarray]):
        """Fold the batch normalisation into the convolutions.

        Args:
            variables: YAMNet's variables by name (`augment.models.weights.load_variables`).
        """
        super().__init__(name="yamnet")
        self.identity = weights.identity(variables)
        self.classes: ClassList = yamnet_classes()
        self.convolutions = _fold(variables)
        self.last_layer = (tf.constant(variables["dense/kernel"]), tf.constant(variables["dense/bias"]))
        self.mel_weights = tf.signal.linear_to_mel_weight_matrix(
            MEL_BANDS, FFT_LENGTH // 2 + 1, SAMPLE_RATE, MEL_LOW_HZ, MEL_HIGH_HZ
        )

    def batch_limit(self, samples: int) -> int:
        """Return how many clips of a padded length are dreamed at a time; a gradient step holds 5 MB for each patch."""
        return max(1, MAX_BATCH_PATCHES // int(patch_count(samples)))

    def log_mel(self, waveforms: tf.Tensor) -> tf.Tensor:
        """Return log(mel + 0.001) of the waveforms [batch, samples] as [batch, frames, 64]."""
        return _log_mel(waveforms, self.mel_weights)

    def logits(self, waveforms: tf.Tensor) -> tf.Tensor:
        """Return what precedes the sigmoid, [batch, patches, 521], of the waveforms [batch, samples]."""
        return self.activations(waveforms, ("logits",))["logits"]

    def activations(
        self, waveforms: tf.Tensor, layers: Collection[str], chosen: tf.Tensor | None = None, *, rough: bool = False
    ) -> dict[str, tf.Tensor]:
        """Return the activations of the named layers.

        Args:
            waveforms: float32 [batch, samples] at 16 kHz, of a length that `padded_length` gives.
            layers: names out of `LAYERS`.
            chosen: int [batch, chosen], which patches of each clip are looked at; None: all.
            rough: pointwise convolutions, nine tenths of the arithmetic, are done in bfloat16; for processors that have
                instructions for it (`augment.determinism.arithmetic.fast_products`).

        Returns:
            By name: ``log_mel`` [batch, frames, 64], ``embeddings`` [batch, patches, 1024], ``logits`` and ``scores``
            [batch, patches, 521], every other layer [batch, patches, time, frequency, channels]. Patches are those
            that are chosen, in that order.

        Raises:
            ValueError: a layer has no such name.
        """
        unknown = sorted(set(layers) - set(LAYERS))
        if unknown:
            raise ValueError(f"YAMNet has no layer {unknown[0]!r}; it has {', '.join(LAYERS)}.")
        log_mel = self.log_mel(waveforms)
        patches = tf.signal.frame(log_mel, PATCH_FRAMES, PATCH_HOP_FRAMES, axis=1)
        if chosen is not None:
            patches = tf.gather(patches, chosen, batch_dims=1, axis=1)
        batch, count = tf.unstack(tf.shape(patches)[:2])
        found = {"log_mel": log_mel} if "log_mel" in layers else {}

        def keep(name: str, value: tf.Tensor) -> None:
            if name in layers:
                found[name] = tf.reshape(value[:rows], tf.concat([[batch, count], tf.shape(value)[1:]], 0))

        rows = batch * count
        signal = tf.reshape(patches, [rows, PATCH_FRAMES, MEL_BANDS, 1])  # [rows, time, frequency, channels]
        signal = given = at_least(2, signal)
        for name, kernel, bias, stride in self.convolutions:
            if name == "layer1/conv":
                signal = _first_convolution(signal, kernel)
            elif "depthwise" in name:
                signal = depthwise_conv2d(signal, kernel, stride)
            elif rough:
                rounded = conv2d(given, tf.cast(kernel, tf.bfloat16), stride)
                rounded = tf.nn.bias_add(rounded, tf.cast(bias, tf.bfloat16))
                keep(f"{name}/bn", tf.cast(rounded, tf.float32))
                signal = tf.cast(tf.nn.relu(rounded), tf.float32)
                keep(f"{name}/relu", signal)
                continue
            else:
                signal = conv2d(signal, kernel, stride)
            signal = tf.nn.bias_add(signal, bias)
            keep(f"{name}/bn", signal)
            if rough:
                given = _rounded_relu(signal)
            signal = tf.nn.relu(signal)
            keep("layer1/relu" if name == "layer1/conv" else f"{name}/relu", signal)
        embeddings = tf.reduce_mean(signal, [1, 2])
        keep("embeddings", embeddings)
        kernel, bias = self.last_layer
        logits = dense(embeddings[:, None], kernel)[:, 0] + bias
        keep("logits", logits)
        keep("scores", sigmoid(logits))
        return found

    @cached_property
    def _score(self) -> Any:
        return tf.function(
            lambda waveforms, counts: mean_over_patches(self.activations(waveforms, ("scores",))["scores"], counts),
            input_signature=[tf.TensorSpec([None, None]), tf.TensorSpec([None], tf.int32)],
        )

    def scores(self, waveforms: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return the clips' scores: the mean over each clip's own patches.

        Args:
            waveforms: float32 [batch, samples] at 16 kHz, zero beyond each clip's length, `padded_length` long.
            lengths: int [batch], samples of each clip.

        Returns:
            float32 [batch, 521] in [0, 1].
        """
        return self._score(waveforms, np.asarray(patch_count(lengths), np.int32)).numpy()

    def clip_scores(self, heard: np.ndarray) -> np.ndarray:
        """Return the scores [521] of one clip [samples at 16 kHz] of any length, in bounded memory."""
        patches = int(patch_count(len(heard)))
        total = np.zeros(len(self.classes), np.float64)
        for first in range(0, patches, _BLOCK_PATCHES):
            count = min(_BLOCK_PATCHES, patches - first)
            start = first * PATCH_HOP_SAMPLES
            block = heard[start : start + PATCH_SAMPLES + (count - 1) * PATCH_HOP_SAMPLES]
            padded = np.zeros((1, padded_length(len(block))), np.float32)
            padded[0, : len(block)] = block
            total += count * self.scores(padded, np.array([len(block)]))[0].astype(np.float64)
        return (total / patches).astype(np.float32)


def mean_over_patches(values: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
    """Average values [batch, patches, ...] over the first counts [batch] patches of each clip."""
    mask = tf.sequence_mask(counts, tf.shape(values)[1], dtype=values.dtype)
    mask /= tf.cast(counts, values.dtype)[:, None]
    return tf.reduce_sum(
        values * tf.reshape(mask, [*tf.unstack(tf.shape(mask)), *[1] * (len(values.shape) - 2)]), axis=1
    )


def sigmoid(logits: tf.Tensor) -> tf.Tensor:
    """Return the scores of logits [..., classes]."""
    return in_packets(tf.sigmoid, logits, 0.0)


def load_dreaming_model(path: str | os.PathLike[str] | None = None) -> DreamingModel:
    """Build the dreaming model from the weights that `augment.models.weights.resolve_weights` finds.

    Args:
        path: a SavedModel folder, a ``yamnet.h5``, a TF-Hub handle, or None for the usual places.

    Raises:
        WeightsError: there are no weights; the message names the ways to supply them.
    """
    return DreamingModel(weights.load_variables(Path(weights.resolve_weights(path))))


def _log_mel(waveforms: tf.Tensor, mel: tf.Tensor) -> tf.Tensor:
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


def _first_convolution(patches: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
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
def _rounded_relu(signal: tf.Tensor) -> Any:
    """Return max(signal, 0) in bfloat16; its gradient is cut before it is widened, which moves less memory."""
    rounded = tf.cast(tf.nn.relu(signal), tf.bfloat16)
    return rounded, lambda gradient: tf.cast(tf.raw_ops.ReluGrad(gradients=gradient, features=rounded), tf.float32)


def _later(values: tf.Tensor, axis: int) -> tf.Tensor:
    """Shift values by one place along an axis; zeros come in, the last ones go into the padding."""
    start = [[0, 0]] * len(values.shape)
    start[axis] = [1, 0]
    kept = values[:, :-1] if axis == 1 else values[:, :, :-1]
    return tf.pad(kept, start)


def _fold(variables: Mapping[str, np.ndarray]) -> list[tuple[str, tf.Tensor, tf.Tensor, int]]:
    """Return (name, kernel, bias, stride) of every convolution, its batch norm folded in.

    relu(gamma (W x - mean) / sqrt(var + eps) + beta) with gamma = 1 is relu((W / sigma) x + beta - mean / sigma).
    """
    names = [("layer1/conv", "kernel", 2)]
    for number, stride in enumerate(_STRIDES, start=2):
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
