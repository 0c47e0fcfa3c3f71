"""Claims about augment.long_sounds.streaming_stats: block by block, the same is told as of the whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ears import NAMES, RATE, ear
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import sound

from augment.ascent.budgets import Budget
from augment.long_sounds.streaming_stats import RunningDistance, RunningLoudness, RunningScores
from augment.models.interface import ModelSpec
from augment.models.model_kinds import load_model
from augment.models.yamnet import DreamingModel
from augment.sound.distance import distance, lufs
from augment.sound.resampling import InputStream, Reel, to_model


def blocks_of(waveform: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (waveform[start : start + size] for start in range(0, len(waveform), size))


def running_lufs(waveform: np.ndarray, rate: int, size: int, gain: float = 1.0) -> float:
    meter = RunningLoudness(rate, waveform.shape[1])
    for block in blocks_of(waveform, size):
        meter.add(block)
    meter.finish()
    return meter.lufs(gain)


@settings(max_examples=20, deadline=None)
@given(
    rate=st.sampled_from([8_000, 16_000, 44_100, 12_345, 3_000]),
    seconds=st.floats(0.5, 3),
    channels=st.sampled_from([1, 2, 5, 7]),
    size=st.sampled_from([100, 4_096, 65_536]),
)
def test_loudness_is_pyloudnorms(rate: int, seconds: float, channels: int, size: int) -> None:
    waveform = sound("loud", seconds, rate, channels) * np.linspace(0.001, 1, round(seconds * rate))[:, None]
    waveform = waveform.astype(np.float32)
    assert running_lufs(waveform, rate, size) == pytest.approx(lufs(waveform, rate), abs=2e-3)


def test_loudness_of_a_sound_turned_down_needs_no_second_hearing() -> None:
    waveform = np.concatenate([sound("a", 2), 0.001 * sound("b", 2)])
    for gain in (1.0, 0.3, 1e-3, 0.0):
        assert running_lufs(waveform, 16_000, 1000, gain) == pytest.approx(lufs(gain * waveform, 16_000), abs=1e-6)


def test_silence_has_no_loudness() -> None:
    assert running_lufs(np.zeros((16_000, 2)), 16_000, 1000) == -math.inf


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2)])
def test_distance_is_that_of_the_whole(rate: int, channels: int) -> None:
    source = sound("source", 3, rate, channels).astype(np.float32)
    dreamed = source + 0.01 * sound("change", 3, rate, channels).astype(np.float32)
    running = RunningDistance(rate, channels)
    for each, after in zip(blocks_of(source, 5_000), blocks_of(dreamed, 5_000), strict=True):
        running.add(each, after)
    running.finish()
    found, wanted = running.distance(), distance(source, dreamed, rate)
    for name in ("snr_db", "lufs_before", "lufs_after", "lufs_change", "peak"):
        assert getattr(found, name) == pytest.approx(getattr(wanted, name), abs=1e-4)
    assert running.source_peak == np.abs(source).max()


@pytest.mark.parametrize(
    "budget",
    [Budget(snr_db=30), Budget(snr_db=10), Budget(change_lu=-35), Budget(snr_db=20, change_lufs=-50), Budget()],
    ids=str,
)
def test_a_share_of_the_change_keeps_to_the_limits_as_settle_does(budget: Budget) -> None:
    source = sound("source", 3).astype(np.float32)
    change = 0.02 * sound("change", 3).astype(np.float32) * np.linspace(0, 1, 48_000, dtype=np.float32)[:, None] ** 4
    running = RunningDistance(16_000, 1)
    running.add(source, source + change)
    running.finish()
    share = running.share(budget)
    settled = budget.settle(source, source + change, 16_000)
    np.testing.assert_allclose(source + share * change, settled, atol=1e-6)
    assert (share == 1) == np.array_equal(settled, source + change)


def test_nothing_changed_and_silence_have_their_own_snr() -> None:
    for source, change, wanted in ((1.0, 0.0, math.inf), (0.0, 1.0, -math.inf)):
        running = RunningDistance(16_000, 1, loudness=False)
        running.add(np.full((10, 1), source, np.float32), np.full((10, 1), source + change, np.float32))
        assert running.snr_db == wanted
    assert running.share(Budget(snr_db=20)) == 0


@pytest.mark.parametrize("seconds", [0.3, 0.975, 1.0, 61.9, 62.0, 62.4, 61.935 + 61.44, 150.0])
def test_scores_are_the_mean_over_all_patches(model: DreamingModel, seconds: float) -> None:
    waveform = np.concatenate([sound(f"{second}", min(5, seconds - second)) for second in np.arange(0, seconds, 5)])
    running = RunningScores(model, 16_000)
    for block in blocks_of(waveform.astype(np.float32), 65_536):
        running.add(block)
    wanted = model.clip_scores(waveform[:, 0].astype(np.float32))
    np.testing.assert_allclose(running.scores(), wanted, atol=2e-6)


def test_scores_at_another_rate_are_those_of_what_the_model_hears(model: DreamingModel) -> None:
    waveform = sound("other", 70, 44_100, 2).astype(np.float32)
    running = RunningScores(model, 44_100)
    for block in blocks_of(waveform, 65_536):
        running.add(block)
    np.testing.assert_allclose(running.scores(), model.clip_scores(to_model(waveform, 44_100)), atol=2e-6)


def test_scores_of_models_with_their_own_windows_and_with_none(tmp_path: Path) -> None:
    ear().save(tmp_path / "ear.keras")
    waveform = sound("ear", 130, RATE).astype(np.float32)
    for window, hop in ((1.5, 0.4), (1.0, 2.5), (None, None)):
        other = load_model(ModelSpec(str(tmp_path / "ear.keras"), NAMES, RATE, window, hop))
        running = RunningScores(other, RATE)
        for block in blocks_of(waveform, 65_536):
            running.add(block)
        if window:
            wanted = other.clip_scores(waveform[:, 0])
        else:  # a model that hears whole clips hears pieces of about a minute, which count by their length
            pieces = list(blocks_of(waveform, other.padded_length(60 * RATE)))
            wanted = np.average([other.clip_scores(piece[:, 0]) for piece in pieces], 0, [len(p) for p in pieces])
        np.testing.assert_allclose(running.scores(), wanted, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(
    rate=st.sampled_from([8_000, 16_000, 44_100, 12_345]),
    channels=st.sampled_from([1, 3]),
    frames=st.integers(1, 100_000),
    size=st.sampled_from([1_000, 65_536]),
)
def test_what_is_heard_of_a_stream_is_what_is_heard_of_the_whole(
    rate: int, channels: int, frames: int, size: int
) -> None:
    waveform = np.random.default_rng(frames).normal(0, 0.1, (frames, channels)).astype(np.float32)
    stream, heard = InputStream(rate), Reel()
    for block in blocks_of(waveform, size):
        heard.add(stream.add(block))
    heard.add(stream.finish())
    np.testing.assert_array_equal(heard.piece(0, heard.end), to_model(waveform, rate))


def test_a_reel_gives_pieces_by_their_place_and_forgets() -> None:
    numbers, reel = np.arange(100)[:, None], Reel()
    for start in range(0, 100, 7):
        reel.add(numbers[start : start + 7])
        reel.forget(max(0, start - 10))
        at = max(0, start - 10)
        np.testing.assert_array_equal(reel.piece(at, reel.end), numbers[at : start + 7])
    reel.forget(200)
    assert len(reel.piece(0, 1000)) == 0
    assert reel.end == 100
