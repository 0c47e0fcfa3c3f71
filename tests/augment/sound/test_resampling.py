"""Claims about augment.sound.resampling: what a dream does to sounds of any sample rate and channel count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augment.sound.resampling import restore, to_model

RATES = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 192_000)


def noise(samples: int, channels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, (samples, channels)).astype(np.float32)


def sine(hz: float, samples: int, sample_rate: int) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * hz * np.arange(samples) / sample_rate)).astype(np.float32)


def low_noise(samples: int, cutoff_hz: float, seed: int = 0) -> np.ndarray:
    """Return noise at 16 kHz with nothing above a frequency and soft ends, so that resampling loses nothing of it."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(0, 0.1, samples))
    spectrum[np.fft.rfftfreq(samples, 1 / 16_000) > cutoff_hz] = 0
    return (np.fft.irfft(spectrum, samples) * np.hanning(samples)).astype(np.float32)


def level_db(sound: np.ndarray, of: np.ndarray) -> float:
    return float(20 * np.log10(np.linalg.norm(sound) / np.linalg.norm(of) + 1e-12))


def above(sound: np.ndarray, cutoff_hz: float, sample_rate: int) -> np.ndarray:
    window = np.blackman(len(sound))[:, None]
    spectrum = np.fft.rfft(sound * window, axis=0)
    return spectrum[np.fft.rfftfreq(len(sound), 1 / sample_rate) > cutoff_hz]


# to_model -----------------------------------------------------------------------------------------------------


def test_mono_at_16_khz_is_heard_as_it_is():
    sound = noise(1000, 1)
    np.testing.assert_array_equal(to_model(sound, 16_000), sound[:, 0])


def test_channels_are_heard_as_their_mean():
    sound = noise(1000, 3)
    np.testing.assert_allclose(to_model(sound, 16_000), sound.mean(axis=1), atol=1e-7)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 192_000])
def test_a_sine_is_heard_at_its_own_frequency_and_level(rate: int):
    heard = to_model(sine(1000, rate, rate)[:, None], rate)
    assert len(heard) == 16_000
    np.testing.assert_allclose(heard[2000:-2000], sine(1000, 16_000, 16_000)[2000:-2000], atol=1e-3)


def test_what_lies_above_8_khz_is_not_heard():
    heard = to_model(sine(12_000, 44_100, 44_100)[:, None], 44_100)
    assert np.abs(heard[2000:-2000]).max() < 1e-4


# restore, adding ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_a_dream_that_changes_nothing_gives_the_sound_back_bit_by_bit(rate: int, channels: int):
    sound = noise(rate // 2, channels)
    heard = to_model(sound, rate)
    np.testing.assert_array_equal(restore(sound, rate, heard, heard, adds=True), sound)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("adds", [False, True])
def test_length_and_channels_are_kept(rate: int, channels: int, adds: bool):
    sound = noise(rate // 3 + 1, channels)
    heard = to_model(sound, rate)
    result = restore(sound, rate, 0.9 * heard, heard, adds=adds)
    assert result.shape == sound.shape
    assert result.dtype == np.float32
    assert np.isfinite(result).all()


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 300), st.sampled_from(RATES), st.integers(1, 3), st.booleans())
def test_even_the_shortest_sounds_keep_their_length(samples: int, rate: int, channels: int, adds: bool):
    sound = noise(samples, channels)
    heard = to_model(sound, rate)
    assert restore(sound, rate, 0.5 * heard, heard, adds=adds).shape == sound.shape


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_an_added_change_leaves_what_lies_above_8_khz_as_it_was(rate: int):
    sound = (0.5 * noise(rate, 2)) + sine(12_000, rate, rate)[:, None]
    heard = to_model(sound, rate)
    result = restore(sound, rate, heard + low_noise(len(heard), 7000), heard, adds=True)
    assert level_db(result - sound, sound) > -30  # something did change
    assert level_db(above(result - sound, 8100, rate), above(sound, 8100, rate)) < -100


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000])
@pytest.mark.parametrize("adds", [False, True])
def test_the_mix_of_the_result_is_the_dream_below_7_khz(rate: int, adds: bool):
    pan = np.array([[1.0, 0.3]], np.float32)
    sound = 0.2 * noise(rate, 2) * pan
    heard = to_model(sound, rate)
    dreamed = heard + low_noise(len(heard), 7000, seed=1)
    change = to_model(restore(sound, rate, dreamed, heard, adds=adds), rate) - dreamed
    soft = np.hanning(len(change))
    spectrum = np.fft.rfft(change * soft)[np.fft.rfftfreq(len(change), 1 / 16_000) < 7000]
    expected = np.fft.rfft(dreamed * soft)[np.fft.rfftfreq(len(change), 1 / 16_000) < 7000]
    assert level_db(spectrum, expected) < -60


def test_panned_mono_is_dreamed_as_each_channel_would_be():
    mono = noise(16_000, 1)
    pan = np.array([[1.6, 0.4]], np.float32)  # of mean 1, so that the mix is the mono sound
    change = low_noise(16_000, 7000, seed=1)
    sound = (mono * pan).astype(np.float32)
    heard = to_model(sound, 16_000)
    result = restore(sound, 16_000, heard + change, heard, adds=True)
    np.testing.assert_allclose(result, (mono + change[:, None]) * pan, atol=1e-6)


@pytest.mark.parametrize("adds", [False, True])
def test_a_silent_channel_stays_silent(adds: bool):
    sound = noise(44_100, 3)
    sound[:, 1] = 0
    heard = to_model(sound, 44_100)
    result = restore(sound, 44_100, heard + low_noise(len(heard), 7000), heard, adds=adds)
    assert not result[:, 1].any()
    assert result[:, [0, 2]].any(axis=0).all()


def test_the_side_signal_of_two_equally_loud_channels_stays_as_it_was():
    sound = noise(16_000, 2)
    sound /= np.sqrt(np.mean(sound**2, axis=0)) * 10
    heard = to_model(sound, 16_000)
    result = restore(sound, 16_000, heard + low_noise(16_000, 7000), heard, adds=True)
    np.testing.assert_allclose(result[:, 0] - result[:, 1], sound[:, 0] - sound[:, 1], atol=1e-6)


def test_a_silent_sound_can_be_given_a_dream():
    sound = np.zeros((16_000, 2), np.float32)
    change = low_noise(16_000, 7000)
    result = restore(sound, 16_000, change, sound[:, 0], adds=True)
    np.testing.assert_allclose(result, np.stack([change, change], axis=1), atol=1e-7)


def test_an_added_change_is_limited_to_full_scale_or_to_the_sounds_own_peak():
    quiet, loud = noise(1000, 1), 12 * noise(1000, 1)
    for sound, limit in ((quiet, 1.0), (loud, np.abs(loud).max())):
        result = restore(sound, 16_000, sound[:, 0] * 50, sound[:, 0], adds=True)
        assert np.abs(result).max() == pytest.approx(limit)


# restore, replacing -------------------------------------------------------------------------------------------


def test_a_dream_that_replaces_is_turned_down_as_a_whole_to_full_scale():
    sound = noise(1000, 1)
    dreamed = 100 * sound[:, 0]
    result = restore(sound, 16_000, dreamed, sound[:, 0], adds=False)
    assert np.abs(result).max() == pytest.approx(1.0)
    np.testing.assert_allclose(result[:, 0], dreamed / np.abs(dreamed).max(), atol=1e-6)


def test_a_dream_that_replaces_is_not_turned_up():
    sound = noise(1000, 1)
    result = restore(sound, 16_000, 0.1 * sound[:, 0], sound[:, 0], adds=False)
    np.testing.assert_allclose(result, 0.1 * sound, atol=1e-7)


def test_above_8_khz_a_dream_that_replaces_has_nothing():
    sound = noise(44_100, 1)
    heard = to_model(sound, 44_100)
    result = restore(sound, 44_100, heard, heard, adds=False)
    assert level_db(above(result, 8200, 44_100), above(sound, 8200, 44_100)) < -80
