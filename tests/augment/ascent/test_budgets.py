"""Claims about augment.ascent.budgets; SNRs are worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from augment.ascent.budgets import Budget, share_within, within_peak
from augment.ascent.transforms import rms
from augment.sound.distance import distance, lufs, snr_db


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32)


def project(y: np.ndarray, x: np.ndarray, limit: float) -> np.ndarray:
    lengths = tf.fill([len(x)], x.shape[1])
    allowed = rms(tf.constant(x), lengths) * 10 ** (-limit / 20)
    return x + (y - x) * share_within(allowed, rms(tf.constant(y - x), lengths)).numpy()[:, None]


def test_a_tenth_of_the_sound_is_a_change_of_20_db():
    x = noise(1000)
    assert snr_db(x, 1.1 * x) == pytest.approx(20, abs=1e-4)


def test_snr_by_hand():
    assert snr_db(np.array([[3.0, 4.0]]), np.array([[3.0, 5.0]])) == pytest.approx(10 * np.log10(25))


def test_the_identical_sound_has_infinite_snr():
    assert snr_db(noise(10), noise(10)) == float("inf")
    assert snr_db(np.zeros(10, np.float32), np.zeros(10, np.float32)) == float("inf")


def test_a_change_of_silence_has_snr_minus_infinity():
    assert snr_db(np.zeros(10, np.float32), noise(10)) == float("-inf")


@settings(deadline=None, max_examples=30)
@given(st.floats(0, 60), st.floats(-40, 40))
def test_an_exceeded_snr_is_met_to_a_thousandth_of_a_db(limit: float, excess_db: float):
    x, direction = noise(1, 4000), noise(1, 4000, seed=1)
    size = np.linalg.norm(x) / np.linalg.norm(direction) * 10 ** (-(limit - excess_db) / 20)
    y = project((x + size * direction).astype(np.float32), x, limit)
    # float32 rounds the sum x + change; in the change itself, far below the sound, that is the more to be heard
    tolerance = 1e-3 + 10 ** ((limit - 110) / 20)
    if excess_db > 0.01:
        assert snr_db(x, y) == pytest.approx(limit, abs=tolerance)
    assert snr_db(x, y) >= limit - tolerance


def test_a_change_within_the_snr_is_left_as_it_is():
    x = noise(3, 500)
    y = x + 0.01 * noise(3, 500, seed=1)
    np.testing.assert_allclose(project(y, x, 20.0), y, atol=1e-7)


def test_the_projection_keeps_the_direction_and_is_of_each_clip_alone():
    x = noise(2, 500)
    change = np.stack([noise(500, seed=1), 0.01 * noise(500, seed=2)])
    y = project(x + change, x, 20.0)
    kept = (y - x)[0] @ change[0] / np.linalg.norm((y - x)[0]) / np.linalg.norm(change[0])
    assert kept == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(y[1], (x + change)[1], atol=1e-7)


def test_silence_allows_no_change_and_nothing_is_divided_by_zero():
    x = np.zeros((2, 100), np.float32)
    y = np.stack([noise(100), np.zeros(100, np.float32)])
    np.testing.assert_array_equal(project(y, x, 20.0), x)


def test_within_peak_clips_what_is_beyond_and_keeps_what_is_within():
    x = np.array([[0.5, -0.2, 0.1]], np.float32)
    y = np.array([[1.5, -1.01, 0.3]], np.float32)
    np.testing.assert_array_equal(
        within_peak(tf.constant(y), tf.constant(x), 1.0).numpy(), np.array([[1.0, -1.0, 0.3]], np.float32)
    )


def test_within_peak_allows_a_source_its_own_peak():
    x = np.array([[0.1, -1.5], [0.1, 0.2]], np.float32)
    y = np.array([[2.0, -1.4], [2.0, 0.2]], np.float32)
    np.testing.assert_array_equal(
        within_peak(tf.constant(y), tf.constant(x), 1.0).numpy(), np.array([[1.5, -1.4], [1.0, 0.2]], np.float32)
    )


def test_no_limit_leaves_every_change_as_it_is():
    np.testing.assert_array_equal(share_within(tf.constant([np.inf, np.inf]), tf.constant([0.0, 7.0])).numpy(), [1, 1])


# On the written sound -----------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=20)
@given(st.floats(-5, 50), st.floats(-30, 30), st.integers(1, 3))
def test_a_written_sound_meets_its_snr_exactly_over_all_channels(limit: float, excess_db: float, channels: int):
    x = noise(9000, channels) * np.linspace(0.1, 1, channels, dtype=np.float32)
    change = noise(9000, channels, seed=1)
    size = np.linalg.norm(x) / np.linalg.norm(change) * 10 ** (-(limit - excess_db) / 20)
    y = (x + size * change).astype(np.float32)
    settled = Budget(snr_db=limit, peak=1000.0).settle(x, y, 16_000)
    assert snr_db(x, settled) >= limit - 1e-4
    if excess_db > 0.01:
        assert snr_db(x, settled) == pytest.approx(limit, abs=1e-3)
    else:
        np.testing.assert_allclose(settled, y, atol=2e-4 * size)


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2), (8_000, 7)])
def test_a_written_change_is_as_loud_as_it_may_be_and_no_louder(rate: int, channels: int):
    x, change = noise(2 * rate, channels), 3 * noise(2 * rate, channels, seed=1)
    for budget, limit in (
        (Budget(change_lu=-12.0, peak=100.0), lufs(x, rate) - 12),
        (Budget(change_lufs=-40.0, peak=100.0), -40.0),
    ):
        settled = budget.settle(x, x + change, rate)
        assert lufs(settled - x, rate) == pytest.approx(limit, abs=0.01)
        quiet = x + change * np.float32(1e-4)
        np.testing.assert_array_equal(budget.settle(x, quiet, rate), quiet)


def test_loudness_is_that_of_bs_1770_for_a_sine():
    seconds = np.arange(48_000 * 3) / 48_000
    sine = np.sin(2 * np.pi * 997 * seconds)[:, None]
    assert lufs(sine, 48_000) == pytest.approx(-3.01, abs=0.05)  # ITU-R BS.1770-4, annex 1: full scale, one channel


def test_the_shortest_sounds_have_a_loudness_and_silence_has_none():
    assert np.isfinite(lufs(noise(7, 1), 44_100))
    assert lufs(noise(400, 1), 100) == pytest.approx(lufs(noise(400, 1), 100))  # finite at the lowest rates
    assert lufs(np.zeros((44_100, 2), np.float32), 44_100) == float("-inf")


def test_silence_allows_no_change_in_writing_either():
    x = np.zeros((4000, 1), np.float32)
    for budget in (Budget(snr_db=20.0), Budget(change_lu=-20.0)):
        np.testing.assert_array_equal(budget.settle(x, x + 0.1, 16_000), x)


def test_a_written_sound_is_limited_to_the_peak_or_to_its_sources_own():
    x = np.array([[0.5], [-0.2]], np.float32)
    np.testing.assert_array_equal(Budget(peak=0.6).settle(x, x * 2, 16_000), np.array([[0.6], [-0.4]], np.float32))
    np.testing.assert_array_equal(Budget(peak=0.3).settle(x, x * 2, 16_000), np.array([[0.5], [-0.4]], np.float32))


def test_distance_tells_what_was_measured():
    x = noise(16_000, 1)
    far = distance(x, x * np.float32(1.1), 16_000)
    assert far.snr_db == pytest.approx(20, abs=1e-3)
    assert far.lufs_after - far.lufs_before == pytest.approx(20 * np.log10(1.1), abs=0.01)
    assert far.lufs_change - far.lufs_before == pytest.approx(-20, abs=0.01)
    assert far.peak == pytest.approx(1.1 * np.abs(x).max(), rel=1e-5)
