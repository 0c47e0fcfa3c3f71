"""Claims about augment.ascent.domains: what each stands for, its gradient by the chain rule, and its box."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from augment.ascent.domains import GAINS, MAGNITUDES, MASKED, MAX_GAIN, SAMPLES, Domain
from augment.sound.stft import StftShape, stft

SHAPE = StftShape(256, 64)
DOMAINS = {"samples": SAMPLES, "masked": MASKED, "gains": GAINS, "magnitudes": MAGNITUDES}
RNG = np.random.default_rng(0)
X = (RNG.normal(0, 0.1, (2, 3000)) * np.linspace(0, 1, 3000)).astype(np.float32)
X[0, 1000:2000] = 0
G = RNG.normal(size=(2, 3000)).astype(np.float32)


def fixed(domain: Domain, power: float = 0.5) -> Any:
    return domain.fix(tf.constant(X), tf.constant(X), SHAPE, 0.01, power)


def moved(domain: Domain, by: float, seed: int = 1) -> tf.Tensor:
    start = domain.start(tf.constant(X), fixed(domain))
    step = np.random.default_rng(seed).normal(size=start.numpy().shape).astype(np.float32)
    return start + by * step


def render(domain: Domain, p: tf.Tensor) -> np.ndarray:
    return domain.render(p, tf.constant(X), fixed(domain), SHAPE).numpy()


@pytest.mark.parametrize("name", DOMAINS)
def test_the_start_is_the_source_to_the_bit(name: str):
    domain = DOMAINS[name]
    np.testing.assert_array_equal(render(domain, domain.start(tf.constant(X), fixed(domain))), X)


@pytest.mark.parametrize("name", ["samples", "masked", "gains"])
def test_the_gradient_is_the_one_that_tensorflow_finds_to_a_factor(name: str):
    domain = DOMAINS[name]
    p = moved(domain, 0.01)
    with tf.GradientTape() as tape:
        tape.watch(p)
        value = tf.reduce_sum(domain.render(p, tf.constant(X), fixed(domain), SHAPE) * G)
    expected = np.asarray(tape.gradient(value, p)).ravel()
    found = domain.pull(p, tf.constant(G), fixed(domain), SHAPE).numpy().ravel()
    cosine = found @ expected / np.linalg.norm(found) / np.linalg.norm(expected)
    # the analysis and the synthesis window differ: the transform is its own adjoint to that
    assert cosine > (0.9999 if name == "samples" else 0.97)


def test_the_gradient_by_log_magnitudes_raises_what_it_should():
    p = moved(MAGNITUDES, 0.0)
    g = MAGNITUDES.pull(p, tf.constant(G), fixed(MAGNITUDES), SHAPE)
    scaled = 0.05 * g / tf.reduce_max(tf.abs(g))
    assert np.sum((render(MAGNITUDES, p + scaled) - X) * G) > 0
    assert np.sum((render(MAGNITUDES, p - scaled) - X) * G) < 0


@pytest.mark.parametrize("name", ["samples", "masked", "gains"])
def test_a_linear_domains_change_grows_in_proportion(name: str):
    domain = DOMAINS[name]
    assert domain.linear
    one, two = render(domain, moved(domain, 0.01)) - X, render(domain, moved(domain, 0.02)) - X
    np.testing.assert_allclose(two, 2 * one, atol=1e-6)


def test_gains_are_a_filter_bin_by_bin_and_leave_silence_alone():
    # with frames that do not overlap in what they change, the spectra of the result are the sound's times real gains
    shape = StftShape(256, 128)
    kept = GAINS.fix(tf.constant(X), tf.constant(X), shape, 0.0, 0.5)
    r = GAINS.box(tf.constant(RNG.normal(0, 1, kept[1].numpy().shape).astype(np.float32)), kept, shape)
    spectra = stft(tf.constant(X), shape).numpy()
    change = kept[0].numpy() * r.numpy() * np.sqrt(0.375 * 256)
    loud = np.abs(spectra) > 1e-4
    gains = 1 + change[loud] / spectra[loud]
    np.testing.assert_allclose(gains.imag, 0, atol=1e-3)
    assert gains.real.min() > -1e-3
    assert gains.real.max() < MAX_GAIN + 1e-3
    assert not change[np.abs(spectra) == 0].any()
    silent = GAINS.render(r, tf.constant(X), kept, shape).numpy()[0, 1300:1700]
    assert not silent.any()


def test_a_soft_mask_is_half_at_the_threshold_and_the_hard_cut_for_a_large_power():
    magnitudes = np.abs(stft(tf.constant(X), SHAPE).numpy())
    relative = np.maximum(magnitudes / magnitudes.max(axis=(1, 2), keepdims=True), 10 ** (-96 / 20))
    (soft,) = MASKED.fix(tf.constant(X), tf.constant(X), SHAPE, 0.1, 1.0)
    expected = relative / (relative + 0.1)
    scale = np.sqrt(np.mean(expected**2, axis=(1, 2), keepdims=True))
    np.testing.assert_allclose(soft.numpy(), expected / scale, atol=1e-4)
    (hard,) = MASKED.fix(tf.constant(X), tf.constant(X), SHAPE, 0.1, 100.0)
    clear = np.abs(relative - 0.1) > 0.01
    np.testing.assert_allclose(
        (hard.numpy() / hard.numpy().max((1, 2), keepdims=True))[clear], (relative > 0.1)[clear], atol=1e-3
    )
    (none,) = MASKED.fix(tf.constant(X), tf.constant(X), SHAPE, 0.0, 1.0)
    assert (none.numpy() == 1).all()


def test_a_soft_mask_takes_digital_silence_for_the_quietest_that_16_bits_hold():
    (mask,) = MASKED.fix(tf.constant(X), tf.constant(X), SHAPE, 0.1, 0.5)
    relative = mask.numpy()[0] / mask.numpy()[0].max()
    floor, loudest = (10 ** (-96 / 20) / 0.1) ** 0.5, (1 / 0.1) ** 0.5
    silent = 1300 // 64 + 4  # its frame lies within the clip's silence, a frame of 256 before the first sample
    np.testing.assert_allclose(relative[silent], floor / (1 + floor) * (1 + loudest) / loudest, rtol=1e-3)
    (silence,) = MASKED.fix(tf.zeros([1, 3000]), tf.zeros([1, 3000]), SHAPE, 0.1, 0.5)
    np.testing.assert_allclose(silence.numpy(), 1, rtol=1e-5)  # of silence: no bin before another


def test_long_frames_carry_a_sound_into_its_own_pauses_by_a_filter():
    short, long = StftShape(256, 64), StftShape(4096, 1024)
    for shape, rings in ((short, False), (long, True)):
        kept = GAINS.fix(tf.constant(X), tf.constant(X), shape, 0.0, 0.5)
        r = GAINS.box(tf.constant(RNG.normal(0, 1, kept[1].numpy().shape).astype(np.float32)), kept, shape)
        silent = GAINS.render(r, tf.constant(X), kept, shape).numpy()[0, 1300:1700]
        assert bool(np.abs(silent).max() > 1e-4) == rings


def test_a_masked_change_lies_where_the_filtering_sound_is():
    sine = np.tile((0.3 * np.sin(2 * np.pi * 1000 * np.arange(3000) / 16_000)).astype(np.float32), (2, 1))
    kept = MASKED.fix(tf.constant(X), tf.constant(sine), SHAPE, 0.1, 4.0)
    change = MASKED.render(tf.constant(G), tf.constant(X), kept, SHAPE).numpy() - X
    power = np.abs(np.fft.rfft(change)) ** 2
    near = slice(int(3000 * 800 / 16_000), int(3000 * 1200 / 16_000))
    assert power[:, near].sum() > 0.95 * power.sum()


def test_magnitudes_can_raise_what_was_silent():
    p = MAGNITUDES.start(tf.constant(X), fixed(MAGNITUDES)) + 3.0
    assert np.abs(render(MAGNITUDES, p)[0, 1300:1700]).max() > 1e-5
