"""Claims about augment.long_sounds.windows: where windows lie, and that their seams are not heard."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from ears import NAMES, RATE, ear
from hypothesis import given, settings
from hypothesis import strategies as st

from augment.ascent.dreaming import Sound, dream_batch, dream_piece
from augment.ascent.loop import Dreamer
from augment.long_sounds.windowed_dream import dream_windows
from augment.long_sounds.windows import OverlapAdd, Tiling, cross_fade, cut, patch_grid, tile
from augment.models.ensembles import Ensemble
from augment.models.interface import AudioModel, ModelSpec
from augment.models.mirror import demo_recording
from augment.models.model_kinds import load_model
from augment.models.waveform_model import Windows
from augment.models.yamnet import PATCH_HOP_SAMPLES, PATCH_SAMPLES, DreamingModel
from augment.recipes.recipe import Recipe
from augment.sound.resampling import to_model
from augment.targets.policies import Aim

SMALL: dict[str, Any] = {"window_seconds": 16.0}
LOCAL = Recipe(
    update="sign",
    step_unit="full_scale",
    step_size=0.001,
    snr_db=None,
    hold=None,
    keep="last",
    objective="logit",
    steps=2,
)
"""Steps that depend on a sample's own neighbourhood alone."""


@pytest.fixture(scope="module")
def street() -> np.ndarray:
    """The street recording, there and back: float32 [samples, 1] at 16 kHz."""
    there = soundfile.read(str(demo_recording()), dtype="float32", always_2d=True)[0]
    return np.concatenate([there, there[::-1]])


@pytest.fixture(scope="module")
def medley(shared: Path, street: np.ndarray) -> np.ndarray:
    """Sounds of 5 s, loud and soft, silent in part, one after the other, and the street: [samples, 1] at 16 kHz."""
    parts = []
    for folder in ("dog_bark", "rain", "clock_tick", "baby_cry"):
        for file in sorted((shared / "data/esc10-dev" / folder).glob("*.ogg"))[:3]:
            sound, rate = soundfile.read(str(file), dtype="float32", always_2d=True)
            parts.append(soxr.resample(sound.mean(axis=1), rate, 16_000))
    return np.concatenate([*parts, street[: 30 * 16_000, 0]])[:, None].astype(np.float32)


def blocks_of(waveform: np.ndarray, size: int = 65_536) -> Iterator[np.ndarray]:
    return (waveform[start : start + size] for start in range(0, len(waveform), size))


def level_db(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-30))


def levels_db(sound: np.ndarray, size: int) -> np.ndarray:
    """Return the levels of consecutive pieces of so many frames."""
    return np.array([level_db(sound[at : at + size]) for at in range(0, len(sound) - size + 1, size)])


def seam_errors_db(found: np.ndarray, wanted: np.ndarray, source: np.ndarray, tiling: Tiling, rate: int) -> np.ndarray:
    """Return the error of each seam, its fade and 2 s on both sides, in dB of the change that is wanted there."""
    errors = []
    for start, stop in tiling.fades:
        seam = slice(start - 2 * rate, stop + 2 * rate)
        errors.append(level_db(found[seam] - wanted[seam]) - level_db(wanted[seam] - source[seam]))
    return np.array(errors)


def joined(dreamer: Dreamer, waveform: np.ndarray, rate: int, tiling: Tiling, target: int = 76) -> np.ndarray:
    """Dream a sound window by window, and check that what comes with each piece is the sound itself."""
    found = list(dream_windows(dreamer, Aim((target,)), blocks_of(waveform), rate, tiling))
    np.testing.assert_array_equal(np.concatenate([source for source, _, _ in found]), waveform)
    return np.concatenate([dream for _, dream, _ in found])


# Where windows lie


@pytest.mark.parametrize("rate", [16_000, 8_000, 44_100, 48_000, 11_025, 12_345, 16_001, 7_999, 96_000])
@pytest.mark.parametrize("seconds", [61.9, 62.0, 115.6, 115.7, 300.3, 7_200.0])
def test_windows_of_yamnet_lie_on_its_grid_and_leave_room_for_margins_and_fades(
    model: DreamingModel, rate: int, seconds: float
) -> None:
    frames = round(seconds * rate)
    tiling = tile(frames, rate, model)
    assert tiling.starts[0] == 0
    assert tiling.stop(len(tiling.starts) - 1) == frames
    for start, offset in zip(tiling.starts, tiling.offsets, strict=True):
        assert offset % PATCH_HOP_SAMPLES == 0
        assert start * 16_000 == offset * rate  # the same moment
    assert frames - tiling.starts[-1] >= min(frames, 0.7 * tiling.length)
    for (start, later), (fade, end) in zip(itertools.pairwise(tiling.starts), tiling.fades, strict=True):
        assert end - fade == round(4.0 * rate)
        assert fade - later >= 2.0 * rate - 2
        assert start + tiling.length - end >= 2.0 * rate - 2
    for (_, end), (later, _) in itertools.pairwise(tiling.fades):
        assert end <= later


def test_a_window_holds_whole_patches_only(model: DreamingModel) -> None:
    tiling = tile(16_000 * 600, 16_000, model)
    assert (tiling.model_input - PATCH_SAMPLES) % PATCH_HOP_SAMPLES == 0
    assert model.padded_length(tiling.model_input) == tiling.model_input
    assert 60 <= tiling.model_input / 16_000 < 62


def test_the_grid_of_a_models_patches_is_told_by_its_patch_count(model: DreamingModel, tmp_path: Path) -> None:
    assert patch_grid(model) == (PATCH_SAMPLES, PATCH_HOP_SAMPLES)
    assert patch_grid(Ensemble([model, model])) == (PATCH_SAMPLES, PATCH_HOP_SAMPLES)
    whole, windowed = an_ear(tmp_path), an_ear(tmp_path, window_seconds=1.5, hop_seconds=0.4)
    assert patch_grid(whole) is None
    assert patch_grid(windowed) == (12_000, 3_200)
    assert patch_grid(Ensemble([whole, windowed])) is None


def test_a_grid_that_never_meets_the_sounds_frames_is_given_up(tmp_path: Path) -> None:
    odd = an_ear(tmp_path, window_seconds=1.0, hop_seconds=3_203 / RATE)  # 3 203 is prime
    tiling = tile(44_101 * 300, 44_101, odd)
    assert any(offset % 3_203 for offset in tiling.offsets)
    for start, offset in zip(tiling.starts, tiling.offsets, strict=True):
        assert start * RATE == offset * 44_101
    assert tiling.length <= 70 * 44_101


def an_ear(folder: Path, **settings: Any) -> AudioModel:
    path = folder / "ear.keras"
    if not path.exists():
        ear().save(path)
    return load_model(ModelSpec(str(path), classes=NAMES, sample_rate=RATE, **settings))


# Every frame once


@settings(max_examples=25, deadline=None)
@given(
    rate=st.sampled_from([16_000, 44_100, 12_345, 8_000]),
    windows=st.integers(0, 4),
    beyond=st.integers(-2, 2),
    grid=st.sampled_from([0, 1, PATCH_HOP_SAMPLES]),
    size=st.sampled_from([1_000, 65_536, 10**7]),
)
def test_every_frame_is_given_once_whatever_the_length(
    rate: int, windows: int, beyond: int, grid: int, size: int
) -> None:
    model: Any = _Reader()
    hop = 8 * PATCH_HOP_SAMPLES  # of windows of 16 s
    length = tile(10**9, rate, model, **SMALL).length
    frames = length + (windows * hop + grid) * rate // 16_000 + beyond
    tiling = tile(frames, rate, model, **SMALL)
    numbers = np.arange(frames, dtype=np.float32)[:, None] * np.array([1, -0.5], np.float32)  # exact up to 2^24
    whole = to_model(numbers, rate)
    for adds in (True, False):
        overlap, found = OverlapAdd(tiling, adds=adds), []
        for start, offset, window in zip(
            tiling.starts, tiling.offsets, cut(blocks_of(numbers, size), tiling, rate, 16_000), strict=True
        ):
            np.testing.assert_array_equal(window.waveform, numbers[start : start + tiling.length])
            np.testing.assert_array_equal(window.model_input, whole[offset : offset + tiling.model_input])
            assert len(window.model_input) >= PATCH_SAMPLES
            found.append(overlap.add(window.waveform, window.waveform))
        np.testing.assert_allclose(np.concatenate(found), numbers, rtol=2e-7)


class _Reader:
    """How YAMNet reads a clip, without its weights."""

    sample_rate = 16_000
    _windows = Windows(16_000, PATCH_SAMPLES, PATCH_HOP_SAMPLES)
    patch_count = _windows.patch_count
    padded_length = _windows.padded_length
    classes = ("any",)


def test_a_stream_that_ends_too_early_is_an_error(model: DreamingModel, street: np.ndarray) -> None:
    tiling = tile(len(street), 16_000, model, **SMALL)
    with pytest.raises(ValueError, match="the sound ends at frame 320000"):
        list(cut(blocks_of(street[:320_000]), tiling, 16_000, 16_000))


# The seam's law


@pytest.mark.slow
def test_windows_of_local_steps_are_the_dream_of_the_whole_at_every_seam(
    model: DreamingModel, street: np.ndarray
) -> None:
    for sound, tiling in (
        (street[: 40 * 16_000], tile(40 * 16_000, 16_000, model, **SMALL)),
        (street, tile(len(street), 16_000, model)),
    ):
        dreamer = Dreamer(model, LOCAL)
        whole = dream_batch(dreamer, [Sound(sound, 16_000)], np.zeros((1, 521), np.float32), [76])[0].waveform
        pieces = joined(dreamer, sound, 16_000, tiling)
        assert len(tiling.starts) > 1
        assert level_db(whole - sound) > level_db(sound) - 40
        assert seam_errors_db(pieces, whole, sound, tiling, 16_000).max() < -60  # below the change, not the sound
        assert (
            np.mean(pieces != whole) < 1e-5
        )  # as a rule it is the same to the bit: a gradient of about 0 has any sign


def test_the_law_holds_for_other_rates_and_channels(model: DreamingModel, street: np.ndarray) -> None:
    for rate in (44_100, 12_345):
        mono = soxr.resample(street[: 40 * 16_000, 0], 16_000, rate).astype(np.float32)
        sound = mono[:, None] * np.array([1, 0.5], np.float32)
        tiling = tile(len(sound), rate, model, **SMALL)
        dreamer = Dreamer(model, LOCAL)
        whole = dream_batch(dreamer, [Sound(sound, rate)], np.zeros((1, 521), np.float32), [76])[0].waveform
        pieces = joined(dreamer, sound, rate, tiling)
        assert seam_errors_db(pieces, whole, sound, tiling, rate).max() < -60


def test_the_law_needs_the_noise_under_the_sound_to_be_that_of_the_whole(
    model: DreamingModel, street: np.ndarray
) -> None:
    sound = street[: 40 * 16_000]
    tiling = tile(len(sound), 16_000, model, **SMALL)
    dreamer = Dreamer(model, LOCAL)
    piece = Sound(sound[tiling.starts[1] : tiling.starts[1] + tiling.length], 16_000)
    right, wrong = (dream_piece(dreamer, piece, Aim((76,)), offset)[0] for offset in (tiling.offsets[1], 0))
    assert level_db(wrong - right) > level_db(right - piece.waveform) - 30


def test_windows_of_another_model_are_the_dream_of_the_whole(tmp_path: Path, street: np.ndarray) -> None:
    heard = to_model(street[: 40 * 16_000], 16_000, RATE)[:, None]
    for settings_ in ({"window_seconds": 1.0}, {"window_seconds": 1.5, "hop_seconds": 0.4}):
        other = an_ear(tmp_path, **settings_)
        tiling = tile(len(heard), RATE, other, **SMALL)
        dreamer = Dreamer(other, LOCAL)
        whole = dream_batch(dreamer, [Sound(heard, RATE, RATE)], np.zeros((1, 3), np.float32), [0])[0].waveform
        pieces = joined(dreamer, heard, RATE, tiling, target=0)
        assert len(tiling.starts) > 1
        assert seam_errors_db(pieces, whole, heard, tiling, RATE).max() < -60


def test_a_model_that_hears_whole_clips_dreams_in_windows_too(tmp_path: Path, street: np.ndarray) -> None:
    other = an_ear(tmp_path)
    sound = street[: 40 * 16_000]
    tiling = tile(len(sound), 16_000, other, **SMALL)
    dreamer = Dreamer(other, Recipe(steps=2, hold=None))
    dreamed = joined(dreamer, sound, 16_000, tiling, target=0)
    assert len(tiling.starts) > 1
    assert np.isfinite(dreamed).all()
    assert levels_db(dreamed - sound, 16_000).min() > level_db(sound) - 60


# Seams of windows that differ


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(),
        Recipe(hold=None, steps=10),
        Recipe(update="normalised", steps=8),
        Recipe(transform="soft_cut_add", steps=8),
    ],
    ids=["default", "all steps", "normalised", "soft_cut_add"],
)
def test_seams_of_windows_with_their_own_budgets_have_no_dip_no_swell_and_no_click(
    model: DreamingModel, medley: np.ndarray, recipe: Recipe
) -> None:
    rate = 16_000
    tiling = tile(len(medley), rate, model, window_seconds=24.0)
    assert len(tiling.starts) > 3
    dreamer = Dreamer(model, recipe)
    alone, pieces, faded = [], [], OverlapAdd(tiling, adds=True)
    for window in cut(blocks_of(medley), tiling, rate, rate):
        dream = dream_piece(dreamer, Sound(window.waveform, rate), Aim((76,)), window.offset)[0]
        alone.append(dream - window.waveform)
        pieces.append(faded.add(window.waveform, dream))
    change = np.concatenate(pieces) - medley
    for number, (start, stop) in enumerate(tiling.fades):
        before, after = (alone[at][start - tiling.starts[at] : stop - tiling.starts[at]] for at in (number, number + 1))
        size = rate // 2
        levels, first, second = (levels_db(each, size) for each in (change[start:stop], before, after))
        assert (levels > np.minimum(first, second) - 1.5).all()
        assert (levels < np.maximum(first, second) + 1.5).all()
        # from one sample to the next nothing moves faster than in the windows themselves
        steps = np.abs(np.diff(change[start - rate : stop + rate], axis=0))
        near = max(np.abs(np.diff(alone[at], axis=0)).max() for at in (number, number + 1))
        assert steps.max() <= np.sqrt(2) * near  # the most that a fade makes good
        for edge in (rate, rate + stop - start):  # where a window ends and the fade begins
            assert steps[edge - 8 : edge + 8].max() <= near


# Fades


def noise(seed: int, level: float = 1.0) -> np.ndarray:
    return level * np.random.default_rng(seed).standard_normal((64_000, 2))


def test_a_fade_from_a_sound_to_itself_is_that_sound() -> None:
    np.testing.assert_allclose(cross_fade(noise(0), noise(0)), noise(0), rtol=1e-12)


@pytest.mark.parametrize("levels", [(1.0, 1.0), (1.0, 0.1), (0.0, 1.0), (0.0, 0.0)])
@pytest.mark.parametrize("shared_part", [0.0, 0.5, 0.9])
def test_the_power_of_a_fade_goes_straight_from_one_to_the_other(
    levels: tuple[float, float], shared_part: float
) -> None:
    common = np.sqrt(shared_part) * noise(0)
    a, b = (level * (common + np.sqrt(1 - shared_part) * noise(seed)) for seed, level in enumerate(levels, start=1))
    faded = cross_fade(a, b)
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(20) + 0.5) / 20)
    wanted = (1 - rise) * levels[0] ** 2 + rise * levels[1] ** 2
    found = np.mean(np.square(faded).reshape(20, -1), axis=1)
    np.testing.assert_allclose(found, wanted, rtol=0.12, atol=1e-3 * max(levels) ** 2 + 1e-12)
    assert np.isfinite(faded).all()


def test_opposite_sounds_fade_without_being_blown_up() -> None:
    assert np.abs(cross_fade(noise(0), -noise(0))).max() <= np.sqrt(2) * np.abs(noise(0)).max()
