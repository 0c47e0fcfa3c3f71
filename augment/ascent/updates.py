"""Update rules: from a gradient to the direction of a step.

A rule takes the gradient at unit rms, what it remembers (two tensors of the gradient's shape, zeros before the first
step), the number of the step (1.0 is the first), the momentum in [0, 1) and a function that scales each clip to unit
rms; it gives a direction and what to remember. All that happens to a clip depends on its own row. To add a rule, write
it here and list it in `augment.recipes.tables.UPDATES`.

Sources: the paper normalises the gradient (Cámara Halac & Delgadino 2021, after Mordvintsev et al. 2015); sign:
Goodfellow et al. 2015 and Madry et al. 2018; momentum: Dong et al. 2018, algorithm 1; Adam: Kingma & Ba 2015.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

ADAM_DECAY, ADAM_SQUARE_DECAY, ADAM_EPSILON = 0.9, 0.99, 1e-3

Memory = tuple[tf.Tensor, tf.Tensor]
Unit = Callable[[tf.Tensor], tf.Tensor]


def normalised(
    g: tf.Tensor, memory: Memory, number: tf.Tensor, momentum: float, unit: Unit
) -> tuple[tf.Tensor, Memory]:
    """Go along the gradient: the paper's rule."""
    del number, momentum, unit
    return g, memory


def sign(g: tf.Tensor, memory: Memory, number: tf.Tensor, momentum: float, unit: Unit) -> tuple[tf.Tensor, Memory]:
    """Go the same way everywhere along the gradient's sign: quiet passages of a clip count as much as loud ones."""
    del number, momentum, unit
    return tf.sign(g), memory


def along_momentum(
    g: tf.Tensor, memory: Memory, number: tf.Tensor, momentum: float, unit: Unit
) -> tuple[tf.Tensor, Memory]:
    """Go along v = momentum v + g, at unit rms."""
    del number
    v = momentum * memory[0] + g
    return unit(v), (v, memory[1])


def sign_momentum(
    g: tf.Tensor, memory: Memory, number: tf.Tensor, momentum: float, unit: Unit
) -> tuple[tf.Tensor, Memory]:
    """Go along the sign of v = momentum v + g."""
    del number, unit
    v = momentum * memory[0] + g
    return tf.sign(v), (v, memory[1])


def adam(g: tf.Tensor, memory: Memory, number: tf.Tensor, momentum: float, unit: Unit) -> tuple[tf.Tensor, Memory]:
    """Go along m / (sqrt(v) + 0.001), the running means of g and g^2, corrected for their start at zero."""
    del momentum, unit
    m = ADAM_DECAY * memory[0] + (1 - ADAM_DECAY) * g
    v = ADAM_SQUARE_DECAY * memory[1] + (1 - ADAM_SQUARE_DECAY) * g**2
    mean = m / (1 - tf.pow(ADAM_DECAY, number))
    square = v / (1 - tf.pow(ADAM_SQUARE_DECAY, number))
    return mean / (tf.sqrt(square) + ADAM_EPSILON), (m, v)
