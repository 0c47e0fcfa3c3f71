"""One addition, one place: a function and a line in a table are enough to be accepted, listed in errors, and run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from augment.ascent.dreaming import dream
from augment.models.interface import ModelSpec
from augment.models.model_files import ModelError
from augment.models.model_kinds import MODELS, load_model
from augment.models.yamnet import DreamingModel
from augment.recipes import tables
from augment.recipes.recipe import Recipe
from augment.targets.policies import POLICIES, Aim
from augment.training import tf_data

SOUND = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)

TOYS: dict[str, tuple[dict[str, Any], Any]] = {
    "transform": (tables.TRANSFORMS, tables.Transform(lambda p, g, step: p - step.eta * g, "Backwards.")),
    "objective": (
        tables.OBJECTIVES,
        tables.Objective(
            lambda output: -tf.reduce_mean(output.activations["logits"], [1, 2]), "Quiet.", layers=("logits",)
        ),
    ),
    "update": (tables.UPDATES, tables.Update(lambda g, memory, number, momentum, unit: (-g, memory), "Backwards.")),
    "start": (tables.STARTS, tables.Start(lambda waveform, rate, number: waveform[::-1].copy(), "Reversed.")),
}


@pytest.mark.parametrize("kind", TOYS)
def test_a_part_of_a_recipe_is_one_line(kind: str, model: DreamingModel, monkeypatch: pytest.MonkeyPatch) -> None:
    table, toy = TOYS[kind]
    with pytest.raises(ValidationError, match="expected 'clip'" if kind == "start" else "expected '"):
        Recipe.model_validate({kind: "toy"})
    monkeypatch.setitem(table, "toy", toy)
    settings: dict[str, Any] = {kind: "toy", "steps": 1, "hold": None, "keep": "last"}
    with pytest.raises(ValidationError, match="'toy'"):
        Recipe.model_validate({kind: "toys"})
    made, usual = (
        dream(SOUND, 16_000, target="Dog", model=model, **each).waveform
        for each in (settings, {**settings, kind: Recipe.model_fields[kind].default})
    )
    assert np.isfinite(made).all()
    assert not np.array_equal(made, usual)


def test_a_target_policy_is_one_line(model: DreamingModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(POLICIES, "last", lambda known: Aim((len(known.scores) - 1,)))
    assert dream(SOUND, 16_000, target="last", model=model, steps=0).target.index == 520


def test_a_policy_of_training_is_one_line(model: DreamingModel, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tf.data.Dataset.from_tensors((SOUND[None], np.array([3])))
    monkeypatch.setitem(tf_data.POLICIES, "own too", lambda own, answers, seeds: own)
    with pytest.raises(ValueError, match=r"choices: .*own too"):
        tf_data.dream_batches(data, model, sample_rate=16_000, policy="toy")
    ((made, _),) = tf_data.dream_batches(
        data, model, Recipe(steps=1), sample_rate=16_000, policy="own too", share=1.0
    ).as_numpy_iterator()
    assert not np.array_equal(made, SOUND[None])


def test_a_kind_of_model_is_one_line(model: DreamingModel, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: dict[str, Callable[..., Any]] = MODELS
    monkeypatch.setitem(kinds, "toy", lambda spec, yamnet: model)
    with pytest.raises(ModelError, match="expected yamnet, crnn, toy"):
        load_model(ModelSpec("toys"))
    assert load_model(ModelSpec("toy")) is model
