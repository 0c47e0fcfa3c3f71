"""Claims about augment.ascent.dreaming: what `dream` returns, on one generated second and one real recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augment.ascent.dreaming import Dreamed, Sound, dream, dream_batch
from augment.ascent.loop import Dreamer, pad_batch
from augment.models.yamnet import DreamingModel, padded_length
from augment.recipes.recipe import Recipe
from augment.sound import distance
from augment.sound.resampling import to_model
from augment.targets.classes import ClassLookupError
from augment.targets.target_names import read_target

RATE = 16_000


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32)


@pytest.fixture(scope="module")
def dreamed(model: DreamingModel) -> Dreamed:
    return dream(noise(RATE), RATE, target="Siren", steps=4, hold=None, model=model)


# dream --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "rate"), [((16_000,), 44_100), ((16_000, 1), 16_000), ((12_345, 2), 44_100)])
def test_a_dream_has_the_shape_of_its_sound(model: DreamingModel, shape: tuple, rate: int):
    result = dream(noise(*shape), rate, target="Siren", steps=1, model=model)
    assert result.waveform.shape == shape
    assert result.waveform.dtype == np.float32
    assert not np.array_equal(result.waveform, noise(*shape))


def test_a_dream_carries_what_became_of_the_sound(model: DreamingModel, dreamed: Dreamed):
    assert dreamed.target.name == "Siren"
    assert dreamed.objectives.shape == (4,)
    np.testing.assert_array_equal(dreamed.scores_before, model.scores(*pad_batch([noise(RATE)]))[0])
    np.testing.assert_array_equal(dreamed.scores_after, model.scores(*pad_batch([dreamed.waveform]))[0])
    assert dreamed.snr_db == distance.snr_db(noise(RATE), dreamed.waveform)
    assert dreamed.reached == (np.argmax(dreamed.scores_after) == dreamed.target.index)


def test_a_dream_raises_its_objective_within_its_budget(dreamed: Dreamed):
    assert dreamed.objectives[-1] > dreamed.objectives[0]
    assert dreamed.scores_after[dreamed.target.index] > dreamed.scores_before[dreamed.target.index]
    assert dreamed.snr_db >= 20 - 1e-3


@pytest.mark.parametrize("target", ["siren", "/m/03kmc9", 390, "390"])
def test_a_target_is_a_class_by_name_mid_or_index(model: DreamingModel, dreamed: Dreamed, target: str | int):
    result = dream(noise(RATE), RATE, target=target, steps=0, model=model)
    assert result.target == dreamed.target


def test_keep_dreams_toward_the_sounds_own_top_class(model: DreamingModel):
    result = dream(noise(RATE), RATE, steps=0, model=model)
    assert result.target.index == np.argmax(result.scores_before)
    assert result.reached


def test_random_is_determined_by_the_seed(model: DreamingModel):
    def run(seed: int, steps: int) -> Dreamed:
        return dream(noise(RATE), RATE, target="random", seed=seed, steps=steps, model=model)

    one, again = run(2, steps=1), run(2, steps=1)
    assert again.target == one.target
    np.testing.assert_array_equal(again.waveform, one.waveform)
    others = [run(seed, steps=0).target for seed in range(5)]
    assert others[2] == one.target
    assert len(set(others)) > 1
    assert int(np.argmax(one.scores_before)) not in [target.index for target in others]


def test_no_steps_give_the_sound_back(model: DreamingModel):
    result = dream(noise(RATE, 2), 44_100, target="Siren", steps=0, model=model)
    np.testing.assert_array_equal(result.waveform, noise(RATE, 2))
    assert result.snr_db == float("inf")
    assert result.objectives.shape == (0,)
    np.testing.assert_array_equal(result.scores_after, result.scores_before)


def test_settings_change_fields_of_the_recipe_and_leave_the_others(model: DreamingModel):
    recipe = Recipe(steps=2, snr_db=30)
    result = dream(noise(RATE), RATE, target="Siren", recipe=recipe, steps=3, hold=None, model=model)
    assert len(result.objectives) == 3
    assert result.snr_db >= 30 - 1e-2


def test_the_sound_given_is_not_written_to(model: DreamingModel):
    sound = noise(RATE)
    sound.flags.writeable = False
    dream(sound, RATE, target="Siren", steps=1, model=model)


def test_a_target_sound_is_a_sound_of_any_rate_and_length(model: DreamingModel):
    sine = np.sin(2 * np.pi * 440 * np.arange(4410) / 44_100).astype(np.float32)[:, None]
    result = dream(
        *(noise(RATE), RATE), target="Siren", transform="target_filter", sound=Sound(sine, 44_100), steps=1, model=model
    )
    change = np.abs(np.fft.rfft(result.waveform - noise(RATE)))
    assert change[340:540].sum() > 0.8 * change.sum()  # within a few bins of 440 Hz


def test_on_step_is_told_of_every_step(model: DreamingModel):
    moved: list[int] = []
    dream(noise(RATE), RATE, target="Siren", steps=3, hold=None, model=model, on_step=moved.append)
    assert moved == [1, 1, 1]


@pytest.mark.parametrize(
    "waveform",
    [
        np.zeros(0),
        np.zeros((0, 2)),
        np.zeros((100, 0)),
        np.zeros((10, 2, 2)),
        np.float32(1),
        np.array([0, np.nan]),
        np.array([0, np.inf]),
    ],
    ids=["empty", "no samples", "no channels", "three axes", "a number", "nan", "infinity"],
)
def test_what_is_no_sound_is_refused(model: DreamingModel, waveform: Any):
    with pytest.raises(ValueError, match="expected finite samples"):
        dream(waveform, RATE, model=model)


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (np.zeros(RATE, np.int16), "got int16: divide by 32768"),
        (np.zeros(RATE, np.uint8), "got uint8: subtract 128, then divide by 128"),
        (np.zeros(RATE, np.complex64), "got complex64"),
        (["a"], "expected float samples"),
        (np.full(RATE, 1.6), "a peak of at most 1.5, got 1.6"),
        (np.full(RATE, 30_000.0), "32768 if they were 16-bit integers"),
        (np.zeros((2, RATE)), r"got shape \(2, 16000\): transpose it"),
        (np.zeros((1, RATE)), "transpose it"),
        (np.zeros((100, 65)), "at most 64 channels"),
    ],
)
def test_samples_of_another_form_are_refused_with_the_remedy(model: DreamingModel, waveform: Any, message: str):
    with pytest.raises(ValueError, match=message):
        dream(waveform, RATE, model=model)
    if np.asarray(waveform).dtype.kind == "f" and np.shape(waveform)[-1] != 65 and np.ndim(waveform) == 1:
        sound = Sound(np.asarray(waveform, np.float32)[:, None], RATE)
        with pytest.raises(ValueError, match=message):
            dream(noise(RATE), RATE, sound=sound, model=model, transform="target_filter")


@pytest.mark.parametrize("rate", [0, -1, 44.1, "16000", None, True, float("nan"), 10**7])
def test_what_is_no_sample_rate_is_refused(model: DreamingModel, rate: Any):
    with pytest.raises(ValueError, match="expected a sample rate"):
        dream(noise(RATE), rate, model=model)
    with pytest.raises(ValueError, match="expected a sample rate"):
        Sound(np.zeros((100, 1), np.float32), rate)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": -1}, "steps"),
        ({"stepz": 1}, "stepz"),
        ({"transform": "hard_cut", "snr_db": 20}, "snr_db limits a change"),
        ({"transform": "target_filter"}, "needs a target sound"),
        ({"transform": "target_filter", "sound": Sound(np.zeros((0, 1), np.float32), RATE)}, "needs a target sound"),
        ({"target": "sound"}, "there is no target sound"),
        ({"target": "label"}, "names no class"),
        ({"target": "Dgo"}, "did you mean 69 'Dog'"),
        ({"target": "inside"}, "could be any of 3"),
        ({"target": 521}, r"expected 0\.\.520"),
    ],
)
def test_wrong_settings_are_refused(model: DreamingModel, arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        dream(noise(RATE), RATE, model=model, **arguments)


@pytest.mark.parametrize(("samples", "rate"), [(1, 16_000), (1, 192_000), (2, 8_000)])
def test_the_shortest_sounds_can_be_dreamed(model: DreamingModel, samples: int, rate: int):
    result = dream(noise(samples), rate, target="Siren", steps=1, model=model)
    assert result.waveform.shape == (samples,)
    assert np.isfinite(result.waveform).all()
    assert np.isfinite(result.scores_after).all()


@pytest.mark.parametrize("pan", [(1.0, 0.2), (1.0, 0.0)])
def test_a_stereo_dream_at_its_own_rate_keeps_the_snr_limit(model: DreamingModel, pan: tuple):
    sound = noise(44_100, 2) * np.array(pan, np.float32)
    result = dream(sound, 44_100, target="Siren", steps=3, step_size=0.5, snr_db=15, hold=None, model=model)
    assert 15 <= result.snr_db < 30


def test_silence_has_no_gradient_and_stays_silence(model: DreamingModel):
    # |X| has none where X is 0 (TensorFlow gives the subgradient 0), so nothing says where to go.
    silence = np.zeros((RATE, 2), np.float32)
    result = dream(silence, 44_100, target="Siren", steps=2, step_unit="full_scale", snr_db=20, model=model)
    np.testing.assert_array_equal(result.waveform, silence)
    np.testing.assert_array_equal(result.scores_after, result.scores_before)
    assert result.snr_db == float("inf")


def test_a_target_is_a_policy_or_a_class(model: DreamingModel):
    assert read_target("keep", model.classes) == ("keep", [])
    assert read_target("random", model.classes) == ("random", [])
    assert read_target("away:Dog", model.classes) == ("away", [69])
    assert read_target("Dog", model.classes) == ("class", [69])
    for wrong in ("class", "keep:Dog", "random:Dgo"):
        with pytest.raises(ClassLookupError):
            read_target(wrong, model.classes)


# Batches ------------------------------------------------------------------------------------------------------


def test_a_batch_of_sounds_of_many_rates_is_what_each_is_alone(model: DreamingModel):
    sounds = [
        Sound(noise(20_000, 1), 16_000),
        Sound(noise(50_000, 2, seed=1), 44_100),
        Sound(noise(8_500, 1, seed=2), 8_000),
    ]
    dreamer = Dreamer(model, Recipe(steps=2, snr_db=20))
    before = model.scores(*pad_batch([sound.model_input for sound in sounds]))
    together = dream_batch(dreamer, sounds, before, [390, 69, 0])
    for row, (sound, target) in enumerate(zip(sounds, [390, 69, 0], strict=True)):
        alone = dream_batch(dreamer, [sound], before[row : row + 1], [target])[0]
        np.testing.assert_array_equal(together[row].waveform, alone.waveform)
        np.testing.assert_array_equal(together[row].scores_after, alone.scores_after)
        np.testing.assert_array_equal(together[row].objectives, alone.objectives)
        assert together[row].target.index == target
        assert together[row].snr_db == alone.snr_db


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(15_601, 23_280), min_size=1, max_size=5))
def test_pad_batch_keeps_each_clip_and_is_zero_beyond_it(lengths: list):
    clips = [noise(length, seed=row) for row, length in enumerate(lengths)]
    batch, found = pad_batch(clips)
    assert batch.shape == (len(clips), padded_length(lengths[0]))
    assert found.tolist() == lengths
    for row, clip in zip(batch, clips, strict=True):
        np.testing.assert_array_equal(row[: len(clip)], clip)
        assert not row[len(clip) :].any()


def test_pad_batch_refuses_clips_of_different_padded_lengths():
    with pytest.raises(ValueError, match=r"must share a padded length, got \[15600, 23280\]"):
        pad_batch([noise(100), noise(16_000)])


def test_a_sound_knows_what_yamnet_hears_of_it():
    sound = noise(4410, 2)
    np.testing.assert_array_equal(Sound(sound, 44_100).model_input, to_model(sound, 44_100))


# A real recording ---------------------------------------------------------------------------------------------


def test_a_recording_of_the_sea_becomes_a_dog_at_20_db(model: DreamingModel, shared: Path):
    with np.load(shared / "reference" / "yamnet_reference.npz") as stored:
        sea = stored["sea_waves/waveform"]
    result = dream(sea, RATE, target="Dog", steps=30, snr_db=20, step_size=0.02, model=model)
    heard = [model.classes[index].name for index in np.argsort(-result.scores_before)[:5]]
    assert "Waves, surf" in heard
    assert "Dog" not in heard
    assert result.snr_db >= 20 - 1e-3
    assert result.reached
