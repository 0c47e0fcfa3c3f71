"""Update rules: worked by hand, and what they do on the real model."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from augment.ascent.loop import Dreamer, pad_batch
from augment.ascent.transforms import normalise, rms
from augment.models.yamnet import DreamingModel
from augment.recipes.recipe import Recipe
from augment.recipes.tables import UPDATES

G = np.random.default_rng(0).normal(0, 1, (2, 50)).astype(np.float32)
ZERO = (tf.zeros_like(G), tf.zeros_like(G))


def unit(values: tf.Tensor) -> tf.Tensor:
    return normalise(values, tf.fill([2], 50))


def directions(name: str, gradients: list[np.ndarray]) -> list[np.ndarray]:
    memory, found = ZERO, []
    for number, gradient in enumerate(gradients, start=1):
        direction, memory = UPDATES[name](tf.constant(gradient), memory, tf.constant(float(number)), 0.9, unit)
        found.append(direction.numpy())
    return found


def test_normalised_is_the_gradient_and_sign_its_sign():
    np.testing.assert_array_equal(directions("normalised", [G])[0], G)
    np.testing.assert_array_equal(directions("sign", [G])[0], np.sign(G))


def test_momentum_goes_along_the_discounted_sum_of_gradients():
    first, second = directions("momentum", [G, -2 * G])
    v = 0.9 * G - 2 * G
    np.testing.assert_allclose(first, unit(tf.constant(G)), rtol=1e-5)
    np.testing.assert_allclose(second, v / np.sqrt(np.mean(v**2, axis=1, keepdims=True)), rtol=1e-4)
    np.testing.assert_array_equal(directions("sign_momentum", [G, -2 * G])[1], np.sign(v))


def test_adam_first_steps_are_what_the_paper_gives():
    first, second = directions("adam", [G, G])
    np.testing.assert_allclose(first, G / (np.abs(G) + 1e-3), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(second, first, rtol=1e-3, atol=1e-4)  # an unchanged gradient has unchanged means


@pytest.mark.parametrize("name", sorted(UPDATES))
def test_every_rule_raises_the_margin_and_leaves_silence_alone(model: DreamingModel, name: str):
    recipe = Recipe.model_validate(
        {"update": name, "steps": 8, "snr_db": 20, "step_unit": "budget", "step_size": 0.3, "hold": None}
    )
    clips = [np.random.default_rng(1).normal(0, 0.1, 16_000).astype(np.float32), np.zeros(16_000, np.float32)]
    waveforms, lengths = pad_batch(clips)
    target = model.classes.find("Siren").index
    dreamed, objectives, _ = Dreamer(model, recipe)(waveforms, lengths, np.array([target, target]))
    assert objectives[-1, 0] > objectives[0, 0] + 1
    assert not dreamed[1].any()


def test_linear_steps_fall_to_a_tenth_and_budget_steps_are_relative_to_what_the_snr_allows(model: DreamingModel):
    clip = np.random.default_rng(1).normal(0, 0.1, 16_000).astype(np.float32)
    waveforms, lengths = pad_batch([clip])
    changes = {}
    for steps in (1, 2):
        values = {"steps": steps, "snr_db": 20, "step_unit": "budget", "step_size": 0.5, "schedule": "linear"}
        values |= {"update": "sign", "keep": "last"}
        dreamed = Dreamer(model, Recipe.model_validate(values))(waveforms, lengths, np.array([400])).waveforms
        changes[steps] = dreamed - waveforms
    budget = float(rms(tf.constant(waveforms), tf.constant(lengths))[0]) * 0.1
    first = float(rms(tf.constant(changes[1]), tf.constant(lengths))[0])
    second = float(rms(tf.constant(changes[2] - changes[1]), tf.constant(lengths))[0])
    assert first == pytest.approx(0.5 * budget, rel=1e-3)
    assert second == pytest.approx(0.05 * budget, rel=1e-3)


def test_budget_steps_need_a_budget():
    with pytest.raises(ValueError, match=r"set recipe\.snr_db"):
        Recipe.model_validate({"step_unit": "budget", "snr_db": None})
