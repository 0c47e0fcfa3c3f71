"""Claims about augment.ascent.objectives: NumPy computes the same, and ascent on the real YAMNet raises each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from augment.ascent.loop import Dreamer, pad_batch
from augment.ascent.objectives import SHARPNESS, ModelOutput
from augment.models.yamnet import DreamingModel
from augment.recipes.recipe import Recipe
from augment.recipes.tables import OBJECTIVES, resolve
from augment.targets.policies import Aim, aim_rows

CLASS_OBJECTIVES = ("score", "logit", "margin", "soft_margin", "mean_margin")


def by_hand(name: str, logits: np.ndarray, aim: Aim) -> float:
    """Compute an objective from the logits [patches, classes] of one clip's own patches."""
    own = list(aim.classes)
    way = -1 if aim.away else 1
    if name == "logit":
        return way * float(logits[:, own].mean())
    if name == "mean_margin":
        means = logits.mean(axis=0)
        beside = np.delete(means, own)
        if aim.away:
            return float(np.sort(beside)[-5] - means[own].max())
        return float(means[own].max() - np.log(np.sum(np.exp(beside))))
    logs = np.log(np.mean(1 / (1 + np.exp(-logits)), axis=0))
    if name == "score":
        return way * float(np.exp(logs[own]).mean())
    others = np.sort(np.delete(logs, own))[::-1]
    if aim.away:
        return float(others[4] - logs[own].max())
    if name == "margin":
        return float(logs[own].max() - others[0])
    return float(logs[own].max() - np.log(np.sum(np.exp(SHARPNESS * others))) / SHARPNESS)


def value(name: str, logits: Any, counts: list[int], aims: list[Aim]) -> tf.Tensor:
    heard = ModelOutput({"logits": logits}, tf.constant(counts), tf.constant(aim_rows(aims, logits.shape[-1])))
    return OBJECTIVES[name].value(heard)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 4), st.integers(1, 5), st.data())
@pytest.mark.parametrize("name", CLASS_OBJECTIVES)
def test_an_objective_is_what_numpy_makes_of_each_clips_own_patches(
    name: str, batch: int, patches: int, data: st.DataObject
):
    counts = data.draw(st.lists(st.integers(1, patches), min_size=batch, max_size=batch))
    classes = st.lists(st.integers(0, 8), min_size=1, max_size=3, unique=True).map(tuple)
    aims = [Aim(data.draw(classes), data.draw(st.booleans())) for _ in range(batch)]
    logits = np.random.default_rng(data.draw(st.integers(0, 99))).normal(0, 4, (batch, patches, 9)).astype(np.float32)
    found = np.asarray(value(name, tf.constant(logits), counts, aims))
    expected = [by_hand(name, logits[row, : counts[row]].astype(float), aims[row]) for row in range(batch)]
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("name", CLASS_OBJECTIVES)
def test_patches_beyond_a_clips_own_have_no_gradient(name: str):
    logits = tf.constant(np.random.default_rng(0).normal(size=(2, 4, 7)).astype(np.float32))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        objective = value(name, logits, [2, 4], [Aim((3,)), Aim((0,))])
    gradient: Any = np.asarray(tape.gradient(objective, logits))
    assert not gradient[0, 2:].any()
    assert gradient[0, :2].any(axis=-1).all()
    assert gradient[1].any(axis=-1).all()


def test_the_margin_is_positive_just_where_the_aim_is_reached():
    logits = np.random.default_rng(0).normal(0, 4, (200, 3, 9)).astype(np.float32)
    scores = np.mean(1 / (1 + np.exp(-logits)), axis=1)
    for aim in (Aim((1,)), Aim((1, 4)), Aim((2,), away=True)):
        margins = np.asarray(value("margin", tf.constant(logits), [3] * 200, [aim] * 200))
        np.testing.assert_array_equal(margins > 0, [aim.reached(row) for row in scores])


def test_the_lead_of_mean_logits_is_positive_just_where_their_softmax_is_highest_for_the_aim():
    logits = np.random.default_rng(0).normal(0, 4, (200, 3, 9)).astype(np.float32)
    for aim in (Aim((1,)), Aim((1, 4))):
        heard = ModelOutput(
            {"logits": tf.constant(logits)}, tf.constant([3] * 200), tf.constant(aim_rows([aim] * 200, 9))
        )
        leads = np.asarray(resolve(OBJECTIVES["mean_margin"].lead)(heard))
        np.testing.assert_array_equal(leads > 0, [aim.reached(row) for row in logits.mean(axis=1)])


def test_the_margin_has_a_gradient_where_every_score_is_zero():
    logits = tf.constant([[[-390.0, -380.0, -400.0, -500, -500, -500]]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        margin = value("margin", logits, [1], [Aim((2,))])
    gradient: Any = tape.gradient(margin, logits)
    np.testing.assert_allclose(gradient, [[[0, -1, 1, 0, 0, 0]]], atol=1e-6)


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def sine(samples: int) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 600 * np.arange(samples) / 16_000)).astype(np.float32)


RISES = {
    **{name: {} for name in CLASS_OBJECTIVES},
    "layer": {"layers": ["layer5/pointwise_conv/relu"]},
    "channel": {"layers": ["layer9/pointwise_conv/relu"], "channel": 7},
    "embedding": {"sound": "given"},
    "layer_match": {"sound": "given", "layers": ["log_mel"]},
    "style": {"sound": "given"},
}


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_ten_steps_of_ascent_raise_every_objective_on_the_real_model(model: DreamingModel, name: str):
    recipe = Recipe.model_validate({"objective": name, "steps": 11, "hold": None, "snr_db": 10, **RISES[name]})
    waveforms, lengths = pad_batch([noise(20_000), noise(18_000, seed=1)])
    target = model.classes.find("Siren").index
    made = Dreamer(model, recipe, sine(9_000))(waveforms, lengths, [target, target])
    first, last = made.objectives[0], made.objectives[10]
    assert (last > first + 0.05 * np.abs(first)).all()
    if name in CLASS_OBJECTIVES:
        logits = model.logits(tf.constant(waveforms)).numpy()[0, :2].astype(float)
        assert first[0] == pytest.approx(by_hand(name, logits, Aim((target,))), abs=1e-2)


@pytest.mark.parametrize("name", ["embedding", "layer_match", "style"])
def test_a_sound_matches_itself(model: DreamingModel, name: str):
    waveforms, lengths = pad_batch([noise(15_600)])
    recipe = Recipe.model_validate({"objective": name, "steps": 1, "step_size": 0, **RISES[name]})
    found = Dreamer(model, recipe, noise(15_600))(waveforms, lengths, [0]).objectives
    assert found[0, 0] == pytest.approx(0, abs=1e-3)
    other = Dreamer(model, recipe, sine(15_600))(waveforms, lengths, [0]).objectives
    assert other[0, 0] < -0.1


@pytest.mark.slow
def test_a_weighted_sum_is_the_sum_of_its_parts(model: DreamingModel):
    waveforms, lengths = pad_batch([noise(16_000)])

    def first(objective: Any) -> float:
        values = {"objective": objective, "steps": 1, "sound": "given", "hold": None}
        return float(
            Dreamer(model, Recipe.model_validate(values), sine(9_000))(waveforms, lengths, [7]).objectives[0, 0]
        )

    whole = first({"margin": 2.0, "style": 0.5, "embedding": 1.0})
    assert whole == pytest.approx(2 * first("margin") + 0.5 * first("style") + first("embedding"), rel=1e-4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"objective": "layer", "layers": ["layer99"]}, "YAMNet has no layer 'layer99'"),
        ({"objective": "channel", "layers": ["layer2/pointwise_conv/relu"], "channel": 64}, "channels 0 to 63"),
    ],
)
def test_layers_and_channels_that_there_are_not_are_refused(model: DreamingModel, values: dict, message: str):
    with pytest.raises(ValueError, match=message):
        Dreamer(model, Recipe.model_validate(values))
