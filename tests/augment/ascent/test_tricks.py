"""Claims about augment.ascent.tricks, held against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from augment.ascent import tricks

X = np.random.default_rng(0).normal(size=(2, 1000)).astype(np.float32)


def number(value: int) -> tf.Tensor:
    return tf.constant(float(value))


def test_jitter_fills_its_range_evenly_and_leaves_the_first_step_alone():
    amounts = np.array([float(tricks.jitter(number(step), 2.0)) for step in range(1, 201)])
    assert amounts[0] == 0
    assert np.abs(amounts).max() <= 2
    counts, _ = np.histogram(amounts, bins=10, range=(-2, 2))
    assert counts.min() >= 18
    assert counts.max() <= 22


def test_a_shift_moves_a_sound_around():
    shifted = tricks.shift(tf.constant(X), number(2), 100).numpy()
    by = round(float(tricks.jitter(number(2), 100.0)))
    assert by != 0
    np.testing.assert_array_equal(shifted, np.roll(X, by, axis=1))


def test_gain_turns_a_sound_up_or_down_by_db():
    turned = tricks.gain(tf.constant(X), number(3), 6.0).numpy()
    ratio = turned / X
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-5)
    assert 10 ** (-6 / 20) <= ratio[0, 0] <= 10 ** (6 / 20)
    assert ratio[0, 0] != 1


def test_octaves_open_one_after_the_other():
    limits = [float(tricks.band_limit(number(step), 9, 3)) for step in range(1, 10)]
    assert limits == [0.25] * 3 + [0.5] * 3 + [1.0] * 3


def test_low_pass_removes_what_lies_above():
    spectra = np.abs(np.fft.rfft(tricks.low_pass(tf.constant(X), tf.constant(0.25), 1).numpy()))
    assert spectra[:, 126:].max() < 1e-3
    np.testing.assert_allclose(spectra[:, :125], np.abs(np.fft.rfft(X))[:, :125], atol=1e-3)
    bins = tf.reshape(tf.constant(X[:, :999]), [2, 3, 333])
    kept = tricks.low_pass(bins, tf.constant(0.25), 2).numpy()
    np.testing.assert_array_equal(kept[..., :84], bins.numpy()[..., :84])
    assert not kept[..., 84:].any()


@pytest.mark.parametrize("shape", [(2, 1000), (2, 25, 40)])
def test_a_blur_spreads_an_impulse_as_a_gaussian_and_keeps_its_sum(shape: tuple):
    impulse = np.zeros(shape, np.float32)
    middle = tuple(size // 2 for size in shape[1:])
    impulse[(0, *middle)] = 1
    blurred = tricks.blur(tf.constant(impulse), 2.0).numpy()
    assert blurred[0].sum() == pytest.approx(1, abs=1e-4)
    assert not blurred[1].any()
    neighbour = (0, *middle[:-1], middle[-1] + 2)
    assert blurred[neighbour] / blurred[(0, *middle)] == pytest.approx(np.exp(-0.5), abs=1e-3)
