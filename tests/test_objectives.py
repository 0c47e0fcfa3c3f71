"""Claims about augment.objectives: NumPy computes the same, and ascent raises each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from augment.dreaming import Dreamer, pad_batch
from augment.objectives import OBJECTIVES
from augment.recipe import Recipe
from augment.yamnet import DreamingModel


def by_hand(name: str, logits: np.ndarray, target: int) -> float:
    """Compute an objective from the logits [patches, classes] of one clip's own patches."""
    if name == "score":
        return float(np.mean(1 / (1 + np.exp(-logits[:, target]))))
    if name == "logit":
        return float(logits[:, target].mean())
    scores = np.mean(1 / (1 + np.exp(-logits)), axis=0)
    return float(np.log(scores[target]) - np.log(np.delete(scores, target).max()))


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 4), st.integers(1, 5), st.data())
@pytest.mark.parametrize("name", ["score", "logit", "margin"])
def test_an_objective_is_what_numpy_makes_of_each_clips_own_patches(
    name: str, batch: int, patches: int, data: st.DataObject
):
    counts = data.draw(st.lists(st.integers(1, patches), min_size=batch, max_size=batch))
    classes = data.draw(st.lists(st.integers(0, 6), min_size=batch, max_size=batch))
    logits = np.random.default_rng(data.draw(st.integers(0, 99))).normal(0, 4, (batch, patches, 7)).astype(np.float32)
    found = OBJECTIVES[name](tf.constant(logits), tf.constant(counts), tf.constant(classes)).numpy()
    expected = [by_hand(name, logits[row, : counts[row]].astype(float), classes[row]) for row in range(batch)]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_patches_beyond_a_clips_own_have_no_gradient(name: str):
    logits = tf.constant(np.random.default_rng(0).normal(size=(2, 4, 7)).astype(np.float32))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        objective = OBJECTIVES[name](logits, tf.constant([2, 4]), tf.constant([3, 0]))
    gradient = np.asarray(tape.gradient(objective, logits))
    assert not gradient[0, 2:].any()
    assert gradient[0, :2].any(axis=-1).all()
    assert gradient[1].any(axis=-1).all()


def test_the_margin_is_positive_just_where_the_target_is_the_clips_top_class():
    logits = np.random.default_rng(0).normal(0, 4, (200, 3, 5)).astype(np.float32)
    margins = OBJECTIVES["margin"](tf.constant(logits), tf.fill([200], 3), tf.fill([200], 1)).numpy()
    top = np.mean(1 / (1 + np.exp(-logits)), axis=1).argmax(axis=1)
    np.testing.assert_array_equal(margins > 0, top == 1)


def test_the_margin_has_a_gradient_where_every_score_is_zero():
    logits = tf.constant([[[-390.0, -380.0, -400.0]]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        margin = OBJECTIVES["margin"](logits, tf.constant([1]), tf.constant([2]))
    gradient: Any = tape.gradient(margin, logits)
    np.testing.assert_allclose(gradient, [[[0, -1, 1]]], atol=1e-6)


@pytest.mark.parametrize("name", ["score", "logit", "margin"])
def test_twenty_steps_of_ascent_raise_the_objective(model: DreamingModel, name: str):
    clip = np.random.default_rng(0).normal(0, 0.1, 20_000).astype(np.float32)
    waveforms, lengths = pad_batch([clip])
    dreamer = Dreamer(model, Recipe.model_validate({"objective": name, "steps": 21}))
    target = model.classes.find("Siren").index
    _, objectives = dreamer(waveforms, lengths, np.array([target]))
    assert objectives.shape == (21, 1)
    rise = objectives[20, 0] - objectives[0, 0]
    assert rise > (0.2 if name == "score" else 3.0)
    logits = model.logits(tf.constant(waveforms)).numpy()[0].astype(float)
    assert objectives[0, 0] == pytest.approx(by_hand(name, logits, target), abs=1e-3)
