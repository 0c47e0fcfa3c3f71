"""Claims about augment.budgets; SNRs are worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from augment.budgets import snr_db, within_peak, within_snr
from augment.transforms import rms


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32)


def project(y: np.ndarray, x: np.ndarray, limit: float) -> np.ndarray:
    lengths = tf.fill([len(x)], x.shape[1])
    return within_snr(
        tf.constant(y), tf.constant(x), limit, rms(tf.constant(x), lengths), rms(tf.constant(y - x), lengths)
    ).numpy()


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
