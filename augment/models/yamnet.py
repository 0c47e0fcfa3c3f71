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
from augment.models.yamnet_layers import (
    FFT_LENGTH,
    MEL_BANDS,
    MEL_HIGH_HZ,
    MEL_LOW_HZ,
    PATCH_FRAMES,
    PATCH_HOP_FRAMES,
    PATCH_HOP_SAMPLES,
    PATCH_SAMPLES,
    STRIDES,
    first_convolution,
    fold,
    log_mel,
    rounded_relu,
)
from augment.sound.samples import SAMPLE_RATE
from augment.targets.classes import ClassList, yamnet_classes

MAX_BATCH_PATCHES = 640
"""Longer clips make smaller batches: 64 clips of 5 s, 32 of 10 s."""

_BLOCK_PATCHES = 120  # of a long clip that are scored at a time, about a minute


LAYERS = (
    "log_mel",
    *("layer1/conv/bn", "layer1/relu"),
    *(
        f"layer{number}/{part}"
        for number in range(2, 2 + len(STRIDES))
        for part in ("depthwise_conv/bn", "depthwise_conv/relu", "pointwise_conv/bn", "pointwise_conv/relu")
    ),
    *("embeddings", "logits", "scores"),
)
"""Names of the layers that `DreamingModel.activations` gives, from input to output."""


def patch_count(samples: int | np.ndarray) -> Any:
    """Return YAMNet's number of patches for clips of these lengths: at least 1, the last one padded."""
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
        self.convolutions = fold(variables)
        self.last_layer = (tf.constant(variables["dense/kernel"]), tf.constant(variables["dense/bias"]))
        self.mel_weights = tf.signal.linear_to_mel_weight_matrix(
            MEL_BANDS, FFT_LENGTH // 2 + 1, SAMPLE_RATE, MEL_LOW_HZ, MEL_HIGH_HZ
        )

    def batch_limit(self, samples: int) -> int:
        """Return how many clips of a padded length are dreamed at a time; a gradient step holds 5 MB for each patch."""
        return max(1, MAX_BATCH_PATCHES // int(patch_count(samples)))

    def log_mel(self, waveforms: tf.Tensor) -> tf.Tensor:
        """Return log(mel + 0.001) of the waveforms [batch, samples] as [batch, frames, 64]."""
        return log_mel(waveforms, self.mel_weights)

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
                signal = first_convolution(signal, kernel)
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
                given = rounded_relu(signal)
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

    def clip_scores(self, waveform: np.ndarray) -> np.ndarray:
        """Return the scores [521] of one clip [samples at 16 kHz] of any length, in bounded memory."""
        patches = int(patch_count(len(waveform)))
        total = np.zeros(len(self.classes), np.float64)
        for first in range(0, patches, _BLOCK_PATCHES):
            count = min(_BLOCK_PATCHES, patches - first)
            start = first * PATCH_HOP_SAMPLES
            block = waveform[start : start + PATCH_SAMPLES + (count - 1) * PATCH_HOP_SAMPLES]
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
