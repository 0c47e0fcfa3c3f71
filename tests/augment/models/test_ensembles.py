"""Ensembles: the mean of objectives, the agreement of members, and classes in common."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from ears import NAMES, ear
from recordings import sound

import augment
from augment.ascent.loop import Dreamer, pad_batch
from augment.models.ensembles import Ensemble
from augment.models.heads import Head, HeadModel
from augment.models.interface import AudioModel
from augment.models.model_files import ModelError
from augment.models.yamnet import DreamingModel
from augment.recipes.recipe import Recipe, RecipeError
from augment.targets.policies import Aim
from augment.training.tf_data import training_model

SHUFFLED = ("rain, heavy", "Dog", "siren of a ship")


@pytest.fixture(scope="module")
def own() -> AudioModel:
    return training_model(ear(), 16_000, NAMES)


@pytest.fixture(scope="module")
def other() -> AudioModel:
    return training_model(ear(samples=8000, gain=30.0), 16_000, SHUFFLED)


def clip(name: str) -> np.ndarray:
    return sound(name, 1.3)[:, 0].astype(np.float32)


def test_an_ensemble_of_twins_dreams_what_one_of_them_dreams(own: AudioModel):
    recipe = Recipe(steps=4, hold=None)
    batch = pad_batch([clip("a")], own)
    alone, twins = (Dreamer(model, recipe)(*batch, [1]) for model in (own, Ensemble([own, own])))
    np.testing.assert_allclose(twins.waveforms, alone.waveforms, atol=1e-5)
    np.testing.assert_allclose(twins.objectives, alone.objectives, rtol=1e-4)


def test_classes_are_those_in_common_by_name_whatever_their_order(own: AudioModel, other: AudioModel):
    both = Ensemble([own, other])
    assert both.classes.names == ("Dog", "rain, heavy")
    batch = pad_batch([clip("b")], both)
    first, second = (model.scores(*pad_batch([clip("b")], model))[0] for model in (own, other))
    expected = np.mean([first[[0, 2]], second[[1, 0]]], axis=0)
    np.testing.assert_allclose(both.scores(*batch)[0], expected, atol=1e-5)


def test_a_dream_has_arrived_where_every_member_says_so(own: AudioModel, other: AudioModel):
    both = Ensemble([own, other])
    batch = pad_batch([clip("c")], both)
    first, second = (model.scores(*pad_batch([clip("c")], model))[0] for model in (own, other))
    for index, columns in enumerate(((0, 1), (2, 0))):
        agreed = int(np.argmax(first)) == columns[0] and int(np.argmax(second)) == columns[1]
        assert both.arrived(*batch, [Aim((index,))]) == [agreed]


def test_a_change_for_an_ensemble_moves_every_member(own: AudioModel, model: DreamingModel):
    rng = np.random.default_rng(1)
    head = HeadModel(model, Head(rng.normal(0, 0.3, (1024, 3)).astype(np.float32), np.zeros(3, np.float32), NAMES))
    both, heard = Ensemble([own, head]), clip("d")
    target = int(np.argmin(both.scores(*pad_batch([heard], both))[0]))
    dreamed = augment.dream(heard, 16_000, target=target, model=both, steps=10, snr_db=10)
    for member in (own, head):
        before, after = (member.scores(*pad_batch([each], member))[0] for each in (heard, dreamed.waveform))
        assert after[target] > before[target]


def test_a_batch_gives_what_each_clip_gives_alone(own: AudioModel, other: AudioModel):
    both = Ensemble([own, other])
    clips = [sound(str(each), 1.9 + 0.01 * each)[:, 0].astype(np.float32) for each in range(3)]
    dreamer = Dreamer(both, Recipe(steps=2, hold=None))
    together = dreamer(*pad_batch(clips, both), [0, 1, 0]).waveforms
    for row, each in enumerate(clips):
        alone = dreamer(*pad_batch([each], both), [[0, 1, 0][row]]).waveforms[0]
        np.testing.assert_allclose(together[row], alone, atol=1e-5)


def test_what_makes_no_ensemble_is_one_line(own: AudioModel):
    slow, numbered = training_model(ear(), 8000, NAMES), training_model(ear(), 16_000)
    with pytest.raises(ModelError, match="must take one sample rate, not ear 16000 Hz, ear 8000 Hz"):
        Ensemble([own, slow])
    with pytest.raises(ModelError, match="no class in common"):
        Ensemble([own, numbered])
    with pytest.raises(RecipeError, match="no layer"):
        Dreamer(Ensemble([own, own]), Recipe(objective="layer", layers=("filters",)))
    with pytest.raises(ValueError, match="ask its members"):
        Ensemble([own, own]).activations(tf.zeros([1, 16_000]), ("logits",))
