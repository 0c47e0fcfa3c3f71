"""The controls of the robustness report, and the SNR that all perturbations meet."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import sound

from augment.ascent.dreaming import Sound
from augment.sound.distance import at_snr, snr_db
from evaluation.judges.judge import JudgeSpec
from evaluation.robustness.attacks import AttackBatch
from evaluation.robustness.perturbations import PERTURBATIONS, filter_change
from evaluation.robustness.robustness_plan import AttackedClip, Item, RobustnessPlan

CONTROLS = ("white_noise", "pink_noise", "smooth_filter")
BUDGETS = (40.0, 20.0, 0.0)


def clip(name: str, channels: int = 1, rate: int = 16_000, scale: float = 1.0) -> AttackedClip:
    waveform = (scale * sound(name, 0.5, rate, channels)).astype(np.float32)
    return AttackedClip(Item(name, name, name, ("dog",), {}), Sound(waveform, rate), (0,), 1)


def batch(*clips: AttackedClip, seed: int = 0) -> AttackBatch:
    plan = RobustnessPlan(JudgeSpec(), (0, 1), ("a", "b"), (("dog", 0),), (), tuple(PERTURBATIONS), BUDGETS, 1, seed)
    return AttackBatch(plan, clips)


@settings(deadline=None, max_examples=30)
@given(st.floats(-20, 60), st.floats(0.001, 5), st.integers(1, 3), st.integers(0, 99))
def test_a_change_of_any_scale_is_brought_to_exactly_the_snr(wanted: float, scale: float, channels: int, seed: int):
    rng = np.random.default_rng(seed)
    source = rng.normal(0, 0.3, (2000, channels)).astype(np.float32)
    assert snr_db(source, at_snr(source, scale * rng.normal(size=source.shape), wanted)) == pytest.approx(
        wanted, abs=0.01
    )


def test_silence_and_no_change_stay_as_they_are():
    source, silent = np.ones((8, 1), np.float32), np.zeros((8, 1), np.float32)
    np.testing.assert_array_equal(at_snr(source, np.zeros((8, 1)), 20), source)
    np.testing.assert_array_equal(at_snr(silent, np.ones((8, 1)), 20), silent)


@pytest.mark.parametrize("name", CONTROLS)
@pytest.mark.parametrize("budget", BUDGETS)
def test_controls_meet_their_snr_exactly(name: str, budget: float):
    loud = clip("loud", channels=2, rate=44_100, scale=3.0)  # beyond full scale
    for each in (clip("one"), clip("two", channels=3), loud):
        (change,) = PERTURBATIONS[name].change(batch(each), budget)
        assert change is not None
        written = at_snr(each.sound.waveform, change, budget)
        assert (written.dtype, written.shape) == (np.float32, each.sound.waveform.shape)
        assert snr_db(each.sound.waveform, written) == pytest.approx(budget, abs=2e-3)


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_depends_on_seed_and_clip_and_not_on_its_neighbours(name: str):
    one, two = clip("one"), clip("two")
    alone = PERTURBATIONS[name].change(batch(one), 20)[0]
    beside = PERTURBATIONS[name].change(batch(two, one), 40)[1]
    np.testing.assert_array_equal(cast(np.ndarray, alone), cast(np.ndarray, beside))
    other = PERTURBATIONS[name].change(batch(one, seed=1), 20)[0]
    assert not np.array_equal(cast(np.ndarray, alone), cast(np.ndarray, other))


def test_pink_noise_falls_by_three_decibels_an_octave():
    long = AttackedClip(Item("a", "a", "a", (), {}), Sound(np.ones((160_000, 1), np.float32), 16_000), (0,), 1)
    (noise,) = PERTURBATIONS["pink_noise"].change(batch(long), 20)
    power = np.abs(np.fft.rfft(cast(np.ndarray, noise)[:, 0])) ** 2
    bands = [power[10 * low : 20 * low].mean() for low in (250, 500, 1000, 2000)]  # bins of 0.1 Hz
    np.testing.assert_allclose(10 * np.log10(np.divide(bands[:-1], bands[1:])), 3, atol=0.3)


def test_the_smooth_filter_is_linear_the_same_at_all_times_and_smooth():
    x, y = sound("x", 0.5), sound("y", 0.5)
    both = filter_change(x + 2 * y, 16_000, 7)
    np.testing.assert_allclose(both, filter_change(x, 16_000, 7) + 2 * filter_change(y, 16_000, 7), atol=1e-12)
    impulse, later = np.zeros((2, 4096, 1))
    impulse[1500], later[1900] = 1, 1
    responses = [filter_change(each, 16_000, 7)[:, 0] for each in (impulse, later)]
    np.testing.assert_allclose(responses[0][1200:1800], responses[1][1600:2200], atol=1e-3)
    gains = 20 * np.log10(np.abs(1 + np.fft.rfft(np.roll(responses[0], -1500))))
    places = np.arange(200, 2040)  # 0.8 to 8 kHz, in bins of 3.9 Hz
    assert np.abs(np.diff(gains[places])).max() < 0.5
    assert np.ptp(gains[places]) > 1
