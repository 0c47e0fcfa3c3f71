"""Distortion: hand-worked cases and the values of equal sounds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.signal
from recordings import samples, sound

from evaluation.metrics.distortion import (
    CLAMP_DB,
    FLOOR_DB,
    Original,
    log_spectral_distance_db,
    log_spectrum,
    segmental_snr_db,
)

RATE = 16_000


def noise(seconds: float = 1.0, channels: int = 1, level: float = 0.1, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, level, (round(seconds * RATE), channels)).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 2])
def test_equal_sounds_have_the_null_values(channels: int) -> None:
    x = sound("x", channels=channels).astype(np.float32)
    found = Original(x, RATE).measure(x.copy())
    assert found.snr_db == math.inf
    assert found.segmental_snr_db == CLAMP_DB[1]
    assert found.log_spectral_distance_db == 0
    assert found.lufs_difference == 0
    assert found.lufs_before == found.lufs_after
    assert found.lufs_change == -math.inf
    assert found.peak == np.abs(x).max()


def test_equal_silence_is_equal_too() -> None:
    found = Original(np.zeros((RATE, 1), np.float32), RATE).measure(np.zeros((RATE, 1), np.float32))
    assert (found.snr_db, found.segmental_snr_db, found.log_spectral_distance_db) == (math.inf, 35, 0)
    assert (found.lufs_before, found.peak, math.isnan(found.lufs_difference)) == (-math.inf, 0, True)


def test_half_the_sound_is_six_decibels_in_every_measure() -> None:
    x = noise(2.0)
    found, six = Original(x, RATE).measure(x / 2), 20 * math.log10(2)
    assert found.snr_db == pytest.approx(six, abs=1e-4)
    assert found.segmental_snr_db == pytest.approx(six, abs=1e-4)
    assert found.log_spectral_distance_db == pytest.approx(six, abs=1e-3)
    assert found.lufs_difference == pytest.approx(-six, abs=1e-3)
    assert found.lufs_change == pytest.approx(found.lufs_after, abs=1e-3)
    assert found.peak == pytest.approx(np.abs(x).max() / 2)


def test_segmental_snr_is_the_mean_of_clamped_frames() -> None:
    length = round(0.03 * RATE)
    x = np.full((5 * length, 1), 0.5, np.float32)
    y = x.copy()
    y[:length] += 0.05  # 20 dB
    y[length : 2 * length] += 5.0  # -20 dB, counts as -10
    y[2 * length : 3 * length] += 0.0005  # 60 dB, counts as 35
    x[3 * length : 4 * length] = 0  # silence that changed counts as -10; the last frame did not change: 35
    assert segmental_snr_db(x, y, RATE) == pytest.approx((20 - 10 + 35 - 10 + 35) / 5, abs=1e-4)


def test_segmental_snr_counts_a_shorter_last_frame() -> None:
    x = np.full((round(0.03 * RATE) + 1, 1), 0.5, np.float32)
    y = x.copy()
    y[-1] += 0.05
    assert segmental_snr_db(x, y, RATE) == pytest.approx((35 + 20) / 2, abs=1e-4)


def test_a_sine_at_full_scale_has_a_spectrum_that_peaks_at_zero_decibels() -> None:
    sine = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)[:, None]
    spectrum = log_spectrum(sine, RATE)
    assert spectrum.max() == pytest.approx(0, abs=1e-3)
    assert log_spectrum(np.zeros((RATE, 1), np.float32), RATE).min() == pytest.approx(FLOOR_DB)


def test_log_spectral_distance_is_what_scipys_spectrograms_give() -> None:
    x, y = noise(), noise(seed=1, level=0.03)
    spectra = []
    for each in (x, y):
        window = scipy.signal.get_window("hann", 512)
        given: dict[str, Any] = {"noverlap": 256, "detrend": False, "scaling": "spectrum", "mode": "psd"}
        _, _, power = scipy.signal.spectrogram(each[:, 0].astype(float), RATE, window, **given)
        power[1:-1] /= 2  # one-sided
        spectra.append(10 * np.log10(np.maximum(4 * power, 1e-10)))
    expected = np.mean(np.sqrt(np.mean((spectra[0] - spectra[1]) ** 2, axis=0)))
    assert log_spectral_distance_db(x, y, RATE) == pytest.approx(expected, rel=1e-4)


def test_a_sound_shorter_than_a_frame_can_be_measured() -> None:
    x = noise(0.005)
    found = Original(x, RATE).measure(x * np.float32(0.5))
    assert np.isfinite([found.snr_db, found.segmental_snr_db, found.log_spectral_distance_db]).all()


def test_measures_agree_with_what_the_augmenter_measures(shared: Path) -> None:
    from augment.sound.distance import distance

    path = next((shared / "data/esc10-dev/rain").glob("*.ogg"))
    x = samples(path)
    y = (x + noise(len(x) / RATE, level=0.003)[: len(x)]).astype(np.float32)
    found, expected = Original(x, 44_100).measure(y), distance(x, y, 44_100)
    assert found.snr_db == expected.snr_db
    assert (found.lufs_before, found.lufs_after, found.lufs_change) == pytest.approx(
        (expected.lufs_before, expected.lufs_after, expected.lufs_change)
    )
