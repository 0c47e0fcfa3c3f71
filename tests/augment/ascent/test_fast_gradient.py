"""Claims about augment.ascent.fast_gradient: what it leaves out, and that the exact scores decide."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from augment.ascent import fast_gradient
from augment.ascent.loop import Ascent, Dreamer, pad_batch
from augment.determinism.arithmetic import fast_products
from augment.models.yamnet import DreamingModel, padded_length
from augment.recipes.recipe import Recipe, RecipeError

CLIPS = [np.random.default_rng(seed).normal(0, 0.1, 48_000).astype(np.float32) for seed in range(5)]
SIREN = 390


def ascend(model: DreamingModel, clips: list[np.ndarray], **values: object) -> Ascent:
    recipe = Recipe.model_validate({"arithmetic": "fast", "snr_db": 10, "steps": 3, "hold": None, **values})
    return Dreamer(model, recipe)(*pad_batch(clips), [SIREN] * len(clips))


def test_a_first_step_looks_at_all_patches_the_next_ones_at_the_heaviest():
    weights = np.array([[0.0, 3.0, 1.0, 2.0, 5.0], [1.0, 1.0, 1.0, 1.0, 1.0]], np.float32)
    assert fast_gradient.chosen_patches(weights, 1).tolist() == [[0, 1, 2, 3, 4]] * 2
    assert fast_gradient.chosen_patches(weights, 2).tolist() == [[1, 4], [0, 1]]
    assert fast_gradient.chosen_patches(weights, 1 + fast_gradient.EVERY).shape == (2, 5)
    assert fast_gradient.chosen_patches(weights[:, :1], 2).tolist() == [[0], [0]]


def test_the_recipe_tells_the_share_of_patches_that_most_steps_look_at():
    told = Recipe.model_fields["arithmetic"].description or ""
    assert "two fifths of a clip" in told
    assert "two fifths of the clip" in " ".join((fast_gradient.__doc__ or "").split())
    assert fast_gradient.SHARE == 2 / 5


def test_what_is_seen_takes_its_place_and_the_rest_stays():
    logits = tf.zeros([2, 3, 1])
    seen = tf.constant([[[1.0], [2.0]], [[3.0], [4.0]]])
    put = fast_gradient.put(logits, tf.constant([[0, 2], [1, 2]]), seen)
    np.testing.assert_array_equal(put.numpy()[:, :, 0], [[1, 0, 2], [0, 3, 4]])


def test_chosen_patches_are_those_of_the_whole(model: DreamingModel):
    waveforms = tf.constant(pad_batch(CLIPS[:2])[0])
    whole = model.activations(waveforms, ("logits",))["logits"].numpy()
    part = model.activations(waveforms, ("logits",), tf.constant([[0, 3], [2, 4]]))["logits"].numpy()
    np.testing.assert_array_equal(part, np.stack([whole[0, [0, 3]], whole[1, [2, 4]]]))


@pytest.mark.skipif(fast_products() != "bfloat16", reason="this processor has no instructions for bfloat16")
def test_rough_scores_are_near_the_exact_ones(model: DreamingModel):
    waveforms = tf.constant(pad_batch(CLIPS)[0])
    exact, rough = (
        model.activations(waveforms, ("scores", "layer7/pointwise_conv/relu"), rough=rough) for rough in (False, True)
    )
    assert np.abs(exact["scores"] - rough["scores"]).max() < 0.03
    layer, near = (each["layer7/pointwise_conv/relu"] for each in (exact, rough))
    assert np.abs(layer - near).max() / np.abs(layer).max() < 0.02


@pytest.mark.slow
def test_a_fast_dream_does_not_depend_on_its_batch(model: DreamingModel):
    together = ascend(model, CLIPS)
    for place, clip in enumerate(CLIPS):
        alone = ascend(model, [clip])
        np.testing.assert_array_equal(together.waveforms[place], alone.waveforms[0])


def test_a_fast_dream_has_arrived_when_the_exact_arithmetic_says_so(model: DreamingModel):
    made = ascend(model, CLIPS, snr_db=0, steps=20, hold=0.1)
    arrived = made.steps < 20
    assert arrived.any()
    scores = model.scores(made.waveforms, np.full(len(CLIPS), 48_000)).astype(float)
    leads = np.log(scores[:, SIREN] / np.delete(scores, SIREN, axis=1).max(axis=1))
    assert (leads[arrived] >= 0.1 - 1e-3).all()


def test_a_fast_dream_goes_the_way_of_the_exact_one(model: DreamingModel):
    first = {arithmetic: ascend(model, CLIPS, arithmetic=arithmetic, steps=1, update="normalised", keep="last")
             for arithmetic in ("exact", "fast")}  # fmt: skip
    source = np.stack(CLIPS)
    exact, fast = (made.waveforms[:, : source.shape[1]] - source for made in first.values())
    for one, other in zip(exact, fast, strict=True):
        assert np.corrcoef(one, other)[0, 1] > 0.9


def test_layers_are_matched_roughly_but_whole(model: DreamingModel):
    made = ascend(model, CLIPS[:1], objective="layer", steps=2, keep="last")
    assert np.isfinite(made.objectives).all()


def test_fast_is_for_yamnet_and_heads_on_it(model: DreamingModel):
    class Other:
        """Any other model."""

        def __getattr__(self, name: str) -> object:
            return getattr(model, name)

    with pytest.raises(RecipeError, match=r"recipe\.arithmetic=exact"):
        Dreamer(Other(), Recipe(arithmetic="fast"))  # type: ignore[arg-type]


@pytest.mark.parametrize("arithmetic", ["exact", "fast"])
def test_one_trace_serves_every_length_and_batch(model: DreamingModel, arithmetic: str):
    dreamer = Dreamer(model, Recipe.model_validate({"arithmetic": arithmetic, "steps": 1}))
    for clips in (CLIPS[:1], CLIPS[:3], [clip[:20_000] for clip in CLIPS]):
        dreamer(*pad_batch(clips), [SIREN] * len(clips))
    step = dreamer._gradient.step  # pyright: ignore[reportPrivateUsage]
    assert step.experimental_get_tracing_count() == 1
    assert padded_length(20_000) != padded_length(48_000)
