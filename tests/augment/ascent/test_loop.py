"""Claims about augment.ascent.loop: when a clip stops, which iterate it gives; budgets and tricks reach the dream."""

from __future__ import annotations

import numpy as np
import pytest

from augment.ascent.dreaming import dream
from augment.ascent.loop import Ascent, Dreamer, pad_batch
from augment.ascent.model_view import DITHER, dither
from augment.models.yamnet import DreamingModel
from augment.recipes.recipe import Recipe
from augment.sound.distance import lufs
from augment.targets.policies import Aim

RATE = 16_000
CLIPS = [np.random.default_rng(seed).normal(0, 0.1, 15_600).astype(np.float32) for seed in range(2)]


def ascend(model: DreamingModel, aims: list, **values: object) -> Ascent:
    recipe = Recipe.model_validate({"snr_db": 10, "steps": 20, **values})
    return Dreamer(model, recipe)(*pad_batch(CLIPS[: len(aims)]), aims)


def test_a_clip_that_has_arrived_stops_and_leaves_the_others_as_they_would_be_alone(model: DreamingModel):
    near = int(np.argsort(-model.scores(*pad_batch(CLIPS[:1]))[0])[1])  # the second choice is soon the first
    together = ascend(model, [near, 494])
    assert together.steps[0] < 20
    assert np.isnan(together.objectives[together.steps[0] :, 0]).all()
    assert np.isfinite(together.objectives[: together.steps[0], 0]).all()
    scores = model.scores(together.waveforms[:1], np.array([15_600]))[0]
    assert np.log(scores[near] / np.delete(scores, near).max()) >= 0.1 - 1e-3
    other = Dreamer(model, Recipe(snr_db=10, steps=20))(*pad_batch(CLIPS[1:]), [494])
    np.testing.assert_array_equal(together.waveforms[1], other.waveforms[0])
    assert together.steps[1] == other.steps[0] > together.steps[0]


def test_a_clip_that_leads_from_the_start_takes_every_step(model: DreamingModel):
    top = int(np.argmax(model.scores(*pad_batch(CLIPS[:1]))[0]))
    assert ascend(model, [top], steps=3, hold=0.0).steps[0] == 3


def test_every_step_of_every_clip_is_told_however_soon_it_stops(model: DreamingModel):
    near = int(np.argsort(-model.scores(*pad_batch(CLIPS[:1]))[0])[1])
    told: list[int] = []
    Dreamer(model, Recipe(snr_db=10, steps=20))(*pad_batch(CLIPS), [near, 494], told.append)
    assert sum(told) == 2 * 20


def test_the_best_iterate_is_kept_and_the_last_one_if_asked(model: DreamingModel):
    huge = {"step_size": 50.0, "step_unit": "clip_rms", "snr_db": -40, "steps": 1, "hold": None, "objective": "margin"}

    def lead(made: Ascent) -> float:
        scores = model.scores(made.waveforms, np.array([15_600]))[0].astype(float)
        return float(np.log(scores[494] / np.delete(scores, 494).max()))

    best, last = (ascend(model, [494], keep=keep, **huge) for keep in ("best", "last"))
    assert lead(last) < last.objectives[0, 0] - 0.5  # such a step does harm
    np.testing.assert_array_equal(best.waveforms, pad_batch(CLIPS[:1])[0])


def test_a_dream_away_lets_the_class_fall(model: DreamingModel):
    before = model.scores(*pad_batch(CLIPS[:1]))[0]
    aim = Aim((int(np.argmax(before)),), away=True)
    made = ascend(model, [aim])
    assert aim.rank(model.scores(made.waveforms, np.array([15_600]))[0]) > aim.rank(before)


@pytest.mark.parametrize(("field", "limit"), [("change_lu", -30.0), ("change_lufs", -60.0)])
@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2)])
def test_a_loudness_limit_holds_on_the_written_sound(
    model: DreamingModel, field: str, limit: float, rate: int, channels: int
):
    sound = np.random.default_rng(0).normal(0, 0.1, (rate, channels)).astype(np.float32)
    values = {"snr_db": None, "steps": 3, "step_size": 0.2, "hold": None, "keep": "last", field: limit}
    made = dream(sound, rate, target="Siren", model=model, **values)
    change = lufs(made.waveform.astype(np.float64) - sound, rate)
    found = change - (lufs(sound, rate) if field == "change_lu" else 0)
    assert found <= limit + 0.01
    if rate == RATE:  # otherwise the steps hear less of the sound than the written one holds
        assert found > limit - 1


@pytest.mark.slow
def test_octaves_and_smoothing_keep_a_step_low_and_jitter_changes_the_way(model: DreamingModel):
    def change(**values: object) -> np.ndarray:
        steps = {"steps": 1, "update": "normalised", "keep": "last", "hold": None, **values}
        return (ascend(model, [494], **steps).waveforms - pad_batch(CLIPS[:1])[0])[0]

    def high(sound: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(sound)) ** 2
        return float(power[len(power) // 4 :].sum() / power.sum())

    plain = change()
    assert high(plain) > 0.05
    assert high(change(octaves=3)) < 1e-3
    assert high(change(smoothing=4.0)) < 0.2 * high(plain)
    for jitter in ({"time_jitter": 0.05}, {"gain_jitter": 6.0}):
        assert not np.array_equal(change(steps=3, **jitter), change(steps=3))


@pytest.mark.parametrize("offset", [0, 1, 7, 7_680, 7_683, 2**34 + 5])
def test_the_noise_under_a_piece_is_that_piece_of_the_noise_under_the_whole(offset: int) -> None:
    begin = offset - offset % 1000
    near = np.concatenate([dither(1000, at).numpy()[0] for at in range(begin, begin + 3000, 1000)])
    np.testing.assert_array_equal(dither(1500, offset).numpy()[0], near[offset - begin :][:1500])
    if offset < 10_000:
        np.testing.assert_array_equal(dither(500, offset).numpy()[0], dither(20_000).numpy()[0, offset : offset + 500])
    assert np.std(dither(20_000, offset).numpy()) == pytest.approx(DITHER, rel=0.05)
