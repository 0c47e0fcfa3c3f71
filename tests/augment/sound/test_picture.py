"""Claims about augment.sound.picture: it draws, and what it draws shows the sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from augment.sound.picture import _levels, draw_dream


def sine(hz: float, sample_rate: int = 16_000) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(sample_rate) / sample_rate)).astype(np.float32)[:, None]


def test_a_png_is_written_and_shows_more_than_one_colour(tmp_path: Path):
    path = tmp_path / "dream.png"
    draw_dream(str(path), sine(440), sine(440) + 0.1 * sine(2000), 16_000, "Dog, 20 dB")
    pixels = imread(path)[..., :3]
    assert pixels.shape == (432, 1320, 3)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50


def test_the_three_panels_are_drawn_of_before_change_and_after(tmp_path: Path):
    path = tmp_path / "dream.png"
    draw_dream(str(path), sine(1000), sine(1000), 16_000, "no change")
    brightness = imread(path)[60:380, 60:1150, :3].sum(axis=2)
    before, change, after = (np.mean(part < 0.1) for part in np.array_split(brightness, 3, axis=1))
    assert change > before + 0.02  # no change is black
    assert change > after + 0.02


def test_the_format_is_chosen_by_the_ending(tmp_path: Path):
    draw_dream(str(tmp_path / "dream.svg"), sine(440), sine(880), 16_000, "Dog")
    assert (tmp_path / "dream.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(("samples", "channels"), [(1, 1), (100, 2)])
def test_silence_and_short_and_stereo_sounds_are_drawn_too(tmp_path: Path, samples: int, channels: int):
    path = tmp_path / "dream.png"
    silence = np.zeros((samples, channels), np.float32)
    draw_dream(str(path), silence, silence, 44_100, "nothing")
    assert imread(path).size


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_a_sine_is_brightest_at_its_own_frequency(rate: int):
    levels = _levels(sine(1000, rate)[:, 0], rate)
    middle = levels[len(levels) // 2]
    assert np.argmax(middle) * rate / 2 / (len(middle) - 1) == pytest.approx(1000, abs=rate / len(middle) / 2)
