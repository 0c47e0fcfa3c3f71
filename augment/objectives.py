"""What a dream maximises: one number for each clip, from YAMNet's logits.

Every objective maps logits [batch, patches, classes], the number of patches of each clip and its target class [batch]
to objectives [batch]. Patches beyond a clip's own do not count. To add one, write the function and list it in
`OBJECTIVES`.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from augment.yamnet import mean_over_patches, sigmoid, whole_packets

Objective = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def score(logits: tf.Tensor, counts: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Return the clip's score for the target, in [0, 1]: the objective of the paper."""
    return mean_over_patches(_of_target(sigmoid(logits), targets), counts)


def logit(logits: tf.Tensor, counts: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Return the target's mean logit: like `score`, without the sigmoid that flattens the gradient at both ends."""
    return mean_over_patches(_of_target(logits, targets), counts)


def margin(logits: tf.Tensor, counts: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Return log(score of the target / best other score): positive just where the target is the clip's top class.

    After Carlini & Wagner (2017, section V-A, f6), of the logarithms of the clip's scores, which have a gradient
    however small the scores are, and without the ceiling.
    """
    inside = tf.sequence_mask(counts, tf.shape(logits)[1])[..., None]  # [batch, patches, 1]
    scores = tf.math.log_sigmoid(whole_packets(logits, -1e9))
    logs = tf.reduce_logsumexp(tf.where(inside, scores, -1e9), axis=1)  # [batch, classes]
    others = tf.where(tf.one_hot(targets, tf.shape(logs)[1], on_value=True, off_value=False), -1e9, logs)
    return tf.gather(logs, targets, batch_dims=1) - tf.reduce_max(others, axis=1)


OBJECTIVES: dict[str, Objective] = {"score": score, "logit": logit, "margin": margin}


def _of_target(values: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    patches = tf.shape(values)[1]
    return tf.gather(values, tf.repeat(targets[:, None], patches, axis=1), batch_dims=2)  # [batch, patches]
