"""Claims about augment.ascent.starts: what noise is, and that it is drawn from a number alone."""

from __future__ import annotations

import numpy as np
import pytest

from augment.ascent.starts import MIX_DB, NO_CLIP_DB, SILENCE_DB, stream, without_clip
from augment.recipes.tables import STARTS

CLIP = (0.05 * np.sin(np.arange(40_000) / 9)).astype(np.float32)[:, None] * np.array([1, 0.5], np.float32)


def rms_db(sound: np.ndarray) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))))


def octave_levels(sound: np.ndarray, rate: int) -> list[float]:
    power = np.abs(np.fft.rfft(sound[:, 0])) ** 2
    frequencies = np.fft.rfftfreq(len(sound), 1 / rate)
    return [
        10 * np.log10(power[(frequencies >= low) & (frequencies < 2 * low)].mean())
        for low in (125, 250, 500, 1000, 2000)
    ]


@pytest.mark.parametrize("name", sorted(STARTS))
def test_a_start_has_the_clips_shape_and_depends_on_the_number_alone(name: str):
    one, again, other = (STARTS[name](CLIP, 16_000, number) for number in (5, 5, 6))
    assert one.shape == CLIP.shape
    assert one.dtype == np.float32
    np.testing.assert_array_equal(one, again)
    assert np.array_equal(one, other) == (name == "clip")


@pytest.mark.parametrize("name", ["white", "pink"])
def test_noise_is_as_loud_as_the_clip(name: str):
    assert rms_db(STARTS[name](CLIP, 16_000, 1)) == pytest.approx(rms_db(CLIP), abs=0.01)


def test_silence_is_near_and_a_mix_holds_the_clip():
    assert rms_db(STARTS["silence"](CLIP, 16_000, 1)) == pytest.approx(SILENCE_DB, abs=0.01)
    assert rms_db(STARTS["mix"](CLIP, 16_000, 1) - CLIP) == pytest.approx(rms_db(CLIP) + MIX_DB, abs=0.01)


def test_white_noise_is_flat_and_pink_noise_falls_by_3_db_an_octave():
    level = np.full((320_000, 1), 0.1, np.float32)
    np.testing.assert_allclose(np.diff(octave_levels(STARTS["white"](level, 16_000, 1), 16_000)), 0, atol=0.7)
    np.testing.assert_allclose(np.diff(octave_levels(STARTS["pink"](level, 16_000, 1), 16_000)), -3, atol=0.7)


def test_of_a_silent_clip_noise_is_silent_and_near_silence_is_not():
    nothing = np.zeros((100, 1), np.float32)
    assert not STARTS["white"](nothing, 16_000, 1).any()
    assert not STARTS["pink"](nothing, 16_000, 1).any()
    assert STARTS["silence"](nothing, 16_000, 1).any()


def test_without_a_clip_noise_has_a_level_of_its_own():
    noise = without_clip("pink", 2, 16_000, 3)
    assert noise.shape == (32_000, 1)
    assert rms_db(noise) == pytest.approx(NO_CLIP_DB, abs=0.01)
    with pytest.raises(ValueError, match="needs a clip"):
        without_clip("mix", 2, 16_000, 3)


@pytest.mark.parametrize("name", sorted(STARTS))
@pytest.mark.parametrize("size", [1_000, 7_777, 400_000])
def test_a_stream_of_a_start_is_of_one_piece_and_like_the_start(name: str, size: int):
    rate, long = 16_000, np.tile(CLIP, (8, 1))  # 20 s
    rms = float(np.sqrt(np.mean(np.square(long, dtype=np.float64))))
    blocks = [long[at : at + size] for at in range(0, len(long), size)]
    streamed = list(stream(name, blocks, rate, 5, rms))
    assert [len(block) for block in streamed] == [len(block) for block in blocks]
    found, whole = np.concatenate(streamed), STARTS[name](long, rate, 5)
    assert found.dtype == np.float32
    assert rms_db(found) == pytest.approx(rms_db(whole), abs=0.2)
    if name == "pink":  # has its own pieces: the same noise whatever the blocks, as loud and as red as the start
        np.testing.assert_array_equal(found, np.concatenate(list(stream(name, [long], rate, 5, rms))))
        np.testing.assert_allclose(octave_levels(found, rate), octave_levels(whole, rate), atol=0.5)
        seconds = [rms_db(found[at : at + rate]) for at in range(0, len(found), rate)]
        assert np.ptp(seconds) < 3
    else:  # the same noise, at the level that is meant instead of the one that was drawn
        np.testing.assert_allclose(found, whole, atol=0.01 * rms)
