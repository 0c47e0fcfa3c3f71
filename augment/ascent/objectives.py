"""What a dream maximises: one number for each clip, from what YAMNet makes of it.

An objective sees a `ModelOutput`: the activations of the layers that it asks for, the number of patches of each clip
(patches beyond a clip's own do not count), the aims, and the same layers of the target sound. It gives [batch]. Those
that compare with a sound give -|difference|^2 / |sound|^2, at most 0, so that a sum of several can be weighed.
To add one, write the function here and list it in `augment.recipes.tables.OBJECTIVES`.

Aims are rows of `augment.targets.policies.Aim.row`, [batch, classes]: 1 for a class that counts as the target, -1 for
one to get away from, where an objective counts the other way round.

Sources: class score: Camara Halac & Delgadino 2021; layers and channels: Mordvintsev et al. 2015, Olah et al. 2017;
matching a layer (feature inversion): Mahendran & Vedaldi 2015, section 3, Mishra et al. 2018 for audio; style: Gatys et
al. 2016, equation 5, Ulyanov & Lebedev 2016 for audio; margins: Carlini & Wagner 2017, section V-A, f6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from augment.determinism.row_stable import gram, in_packets, sum_of_rows, whole_packets
from augment.models.yamnet import PATCH_FRAMES, PATCH_HOP_FRAMES, mean_over_patches, sigmoid
from augment.targets.policies import AWAY_RANK

SHARPNESS = 4.0
"""Of `soft_margin`: how much more the best other class counts than the next; infinite is `margin`."""

_NOWHERE = -1e9  # the logarithm of a score that does not count


@dataclass(frozen=True)
class ModelOutput:
    """What an objective works with.

    Attributes:
        activations: by layer, [batch, patches, ...] (`DreamingModel.activations`; ``log_mel`` [batch, frames, 64]).
        counts: int [batch], patches of each clip.
        aims: float32 [batch, classes].
        sound: what the objective keeps of the target sound (`augment.recipes.tables.Objective`), by layer.
        layers: that the recipe names.
        channel: that the recipe names.
        link: how logits make a clip's scores (`augment.models.interface.AudioModel`).
    """

    activations: Mapping[str, tf.Tensor]
    counts: tf.Tensor
    aims: tf.Tensor
    sound: Mapping[str, tf.Tensor] = field(default_factory=dict)
    layers: Sequence[str] = ()
    channel: int = 0
    link: str = "sigmoid"

    def of(self, name: str) -> tf.Tensor:
        """Return a layer's activations, [batch, patches, ...]; log_mel is cut into YAMNet's patches for it."""
        values = self.activations[name]
        return tf.signal.frame(values, PATCH_FRAMES, PATCH_HOP_FRAMES, axis=1) if name == "log_mel" else values


def score(output: ModelOutput) -> tf.Tensor:
    """Return the clip's score for the target, in [0, 1]: the objective of the paper. Of several classes, their mean."""
    if output.link == "softmax":
        return _of_aim(in_packets(tf.exp, log_scores(output), 0.0), output.aims)
    return _of_aim(mean_over_patches(sigmoid(output.activations["logits"]), output.counts), output.aims)


def logit(output: ModelOutput) -> tf.Tensor:
    """Return the target's mean logit: like `score`, without the sigmoid that flattens the gradient at both ends."""
    return _of_aim(mean_over_patches(output.activations["logits"], output.counts), output.aims)


def margin(output: ModelOutput) -> tf.Tensor:
    """Return log(score of the target / best other score): positive just where the target is the clip's top class.

    Of the logarithms of the clip's scores, which have a gradient however small the scores are. Several classes count as
    the best of them. Away from a class, it is positive just where the class has left the top five.
    """
    logs = log_scores(output)
    return _side(logs, output.aims > 0, output.aims < 0) - _rest(logs, output.aims)


def soft_margin(output: ModelOutput) -> tf.Tensor:
    """Return the margin with every other class counted, the stronger the more: smooth where the best other changes.

    log(score of the target) - log(sum of other scores^s) / s with s = `SHARPNESS`. A gradient against the best other
    class alone lifts the next one as often as not.
    """
    logs = log_scores(output)
    others = tf.where(output.aims > 0, _NOWHERE, logs)
    summed = _log_sum_exp(SHARPNESS * others) / SHARPNESS
    going = tf.reduce_any(output.aims < 0, axis=1)
    return _side(logs, output.aims > 0, output.aims < 0) - tf.where(going, _rest(logs, output.aims), summed)


def mean_margin(output: ModelOutput) -> tf.Tensor:
    """Return the log odds of the target among all classes by the clip's mean logits: z_t - log(sum of other exp(z)).

    What a classifier decides by that sees the mean over a clip's patches before its last, linear layer, as a linear
    head on YAMNet's mean embedding does (`augment.models.heads`). Several classes count as the best of them.
    """
    means, aims = mean_over_patches(output.activations["logits"], output.counts), output.aims
    others = _log_sum_exp(tf.where(aims > 0, _NOWHERE, means))
    going = tf.reduce_any(aims < 0, axis=1)
    return _side(means, aims > 0, aims < 0) - tf.where(going, _rest(means, aims), others)


def mean_lead(output: ModelOutput) -> tf.Tensor:
    """Return the target's mean logit less the best other's: positive just where the target is on top by these."""
    means, aims = mean_over_patches(output.activations["logits"], output.counts), output.aims
    return _side(means, aims > 0, aims < 0) - _rest(means, aims)


def layer(output: ModelOutput) -> tf.Tensor:
    """Return the mean activation of the layers: Deep Dream's own objective."""
    return _mean([_mean_activation(output, output.of(name)) for name in output.layers])


def channel(output: ModelOutput) -> tf.Tensor:
    """Return the mean activation of one channel of the layers (of log_mel, a band; of logits, a class)."""
    return _mean(
        [_mean_activation(output, tf.gather(output.of(name), [output.channel], axis=-1)) for name in output.layers]
    )


def embedding(output: ModelOutput) -> tf.Tensor:
    """Return how near the clip's mean embedding is to the target sound's: whatever the order."""
    return _nearness(mean_over_patches(output.activations["embeddings"], output.counts), output.sound["embeddings"])


def layer_match(output: ModelOutput) -> tf.Tensor:
    """Return how near the layers are to those of the target sound, moment by moment: feature inversion."""
    return _mean([_nearness(_own(output, output.of(name)), _own(output, output.sound[name])) for name in output.layers])


def style(output: ModelOutput) -> tf.Tensor:
    """Return how near the Gram matrices of the layers are to the target sound's: its timbre, whatever the order."""
    return _mean([_nearness(_gram(output, output.of(name)), output.sound[name]) for name in output.layers])


def keep_layers(output: ModelOutput) -> dict[str, tf.Tensor]:
    """Keep the layers of the target sound."""
    return {name: output.of(name) for name in output.layers}


def keep_embedding(output: ModelOutput) -> dict[str, tf.Tensor]:
    """Keep the mean embedding of the target sound."""
    return {"embeddings": mean_over_patches(output.activations["embeddings"], output.counts)}


def keep_grams(output: ModelOutput) -> dict[str, tf.Tensor]:
    """Keep the Gram matrices of the target sound's layers."""
    return {name: _gram(output, output.of(name)) for name in output.layers}


def log_scores(output: ModelOutput) -> tf.Tensor:
    """Return the logarithms of the sums over each clip's own patches of its scores, [batch, classes].

    Of a model with a softmax, of the one score that it makes of the mean over the patches.
    """
    logits = output.activations["logits"]
    if output.link == "softmax":
        means = mean_over_patches(logits, output.counts)
        return means - _log_sum_exp(means)[:, None]
    inside = tf.sequence_mask(output.counts, tf.shape(logits)[1])[..., None]  # [batch, patches, 1]
    scores = tf.where(inside, tf.math.log_sigmoid(whole_packets(logits, _NOWHERE)), _NOWHERE)
    return tf.reduce_logsumexp(scores, axis=1)[:, : logits.shape[-1]]


def _log_sum_exp(values: tf.Tensor) -> tf.Tensor:
    """Return log sum exp of values [batch, classes] over the classes.

    The logarithm and its gradient are taken of whole packets, as the vector units round otherwise: a batch of eight
    clips would get another gradient than its clips alone.
    """
    top = tf.stop_gradient(tf.reduce_max(values, axis=1, keepdims=True))
    summed = tf.reduce_sum(tf.exp(whole_packets(values - top, _NOWHERE)), axis=1, keepdims=True)
    return tf.math.log(whole_packets(summed, 1.0))[:, 0] + top[:, 0]


def _side(logs: tf.Tensor, toward: tf.Tensor, leave: tf.Tensor) -> tf.Tensor:
    """Return the log score that is to rise: of the best class of the target, or of the fifth beside those to leave."""
    best = tf.reduce_max(tf.where(toward, logs, _NOWHERE), axis=1)
    count: Any = logs.shape[-1]
    places = max(1, min(AWAY_RANK, count - 1))  # of few classes: the last
    fifth = tf.math.top_k(tf.where(leave, _NOWHERE, logs), places).values[:, -1]
    return tf.where(tf.reduce_any(leave, axis=1), fifth, best)


def _rest(logs: tf.Tensor, aims: tf.Tensor) -> tf.Tensor:
    """Return the log score that is to be passed: of the best class beside the target, or of those to leave."""
    beside = tf.reduce_max(tf.where(aims > 0, _NOWHERE, logs), axis=1)
    left = tf.reduce_max(tf.where(aims < 0, logs, _NOWHERE), axis=1)
    return tf.where(tf.reduce_any(aims < 0, axis=1), left, beside)


def _of_aim(values: tf.Tensor, aims: tf.Tensor) -> tf.Tensor:
    """Average values [batch, classes] over the aim's classes; away, negated."""
    return sum_of_rows(values * aims) / sum_of_rows(tf.abs(aims))


def _mean(values: list[tf.Tensor]) -> tf.Tensor:
    return values[0] if len(values) == 1 else tf.add_n(values) / len(values)


def _own(output: ModelOutput, values: tf.Tensor) -> tf.Tensor:
    """Set to zero what lies beyond each clip's own patches; [batch, patches, activations of a patch]."""
    sizes = tf.shape(values)
    own = tf.sequence_mask(output.counts, sizes[1], dtype=values.dtype)
    return tf.reshape(values, [sizes[0], sizes[1], -1]) * own[:, :, None]


def _mean_activation(output: ModelOutput, values: tf.Tensor) -> tf.Tensor:
    owned = _own(output, values)
    return sum_of_rows(owned) / tf.cast(output.counts * tf.shape(owned)[2], owned.dtype)


def _nearness(values: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    return -tf.math.divide_no_nan(sum_of_rows((values - wanted) ** 2), sum_of_rows(wanted**2 + 0 * values))


def _gram(output: ModelOutput, values: tf.Tensor) -> tf.Tensor:
    """Return the Gram matrices [batch, channels, channels] of a layer, averaged over its places."""
    sizes = tf.shape(values)
    channels = values.shape[-1]
    own = tf.reshape(_own(output, values), [sizes[0], -1, channels])
    places = output.counts * (tf.shape(own)[1] // sizes[1])
    return gram(own) / tf.cast(places, own.dtype)[:, None, None]
