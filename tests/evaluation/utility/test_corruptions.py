import numpy as np
import pytest

from evaluation.utility.corruptions import CORRUPTIONS, add_noise, band_pass, clip_peaks, mp3, reverberate, turn

RATE = 16_000


def sine(hertz: float, seconds: float = 1.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def rms(waveform: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_changes_the_sound_keeps_its_length_and_is_the_same_again(name):
    sound = sine(440) * np.linspace(0, 1, RATE, dtype=np.float32)
    found = CORRUPTIONS[name].apply(sound, RATE, 7)
    assert found.dtype == np.float32
    assert found.shape == sound.shape
    assert np.isfinite(found).all()
    assert not np.array_equal(found, sound)
    np.testing.assert_array_equal(found, CORRUPTIONS[name].apply(sound, RATE, 7))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_silence_stays_finite(name):
    assert np.isfinite(CORRUPTIONS[name].apply(np.zeros(RATE, np.float32), RATE, 7)).all()


@pytest.mark.parametrize("snr_db", [0, 10, 20])
@pytest.mark.parametrize("exponent", [0.0, 1.0])
def test_noise_has_the_snr_that_is_asked_for(snr_db, exponent):
    sound = sine(440)
    noise = add_noise(sound, 1, snr_db=snr_db, exponent=exponent).astype(np.float64) - sound
    assert 20 * np.log10(rms(sound) / rms(noise)) == pytest.approx(snr_db, abs=1e-3)


def test_pink_noise_falls_by_3_db_an_octave_and_white_noise_does_not():
    slopes = {}
    for exponent in (0.0, 1.0):
        noise = add_noise(np.ones(1 << 17, np.float32), 1, snr_db=0, exponent=exponent) - 1.0
        power = np.abs(np.fft.rfft(noise)) ** 2
        octaves = [power[1 << level : 2 << level].mean() for level in range(8, 15)]
        slopes[exponent] = np.polyfit(range(7), 10 * np.log10(octaves), 1)[0]
    assert slopes[0.0] == pytest.approx(0, abs=0.2)
    assert slopes[1.0] == pytest.approx(-10 * np.log10(2), abs=0.2)


def test_a_room_decays_by_60_db_in_its_time():
    impulse = np.zeros(RATE, np.float32)
    impulse[0] = 1
    tail = reverberate(impulse, RATE, 3, seconds=0.5)
    energy = np.cumsum(np.square(tail[:0:-1], dtype=np.float64))[::-1]  # Schroeder 1965
    decay = 10 * np.log10(energy / energy[0])
    assert decay[int(0.25 * RATE)] == pytest.approx(-30, abs=2)
    np.testing.assert_allclose(tail[int(0.5 * RATE) :], 0, atol=1e-12)


@pytest.mark.parametrize(("hertz", "gain_db"), [(1000, 0), (300, -3), (3400, -3), (75, -40), (7000, -20)])
def test_a_band_passes_and_what_lies_outside_does_not(hertz, gain_db):
    sound = sine(hertz, 2)
    passed = band_pass(sound, RATE, low_hz=300, high_hz=3400)
    measured = 20 * np.log10(rms(passed[RATE:]) / rms(sound[RATE:]))
    assert measured == pytest.approx(gain_db, abs=0.3) if gain_db > -10 else measured < gain_db


def test_the_loudest_share_of_the_samples_is_cut_off_at_one_height():
    sound = sine(440)
    cut = clip_peaks(sound, share=0.25)
    assert np.mean(np.isclose(np.abs(cut), np.abs(cut).max())) == pytest.approx(0.25, abs=0.01)
    assert rms(cut) == pytest.approx(rms(sound), rel=1e-4)


def test_a_sound_that_is_turned_down_is_rounded_to_16_bits():
    turned = turn(sine(440), gain_db=-40)
    np.testing.assert_allclose(turned * 32767, np.rint(turned * 32767), atol=1e-3)
    assert rms(turned) == pytest.approx(rms(sine(440)) / 100, rel=1e-2)


def test_the_lower_the_bit_rate_of_an_mp3_the_farther_it_is_from_the_sound():
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.1, RATE).astype(np.float32)
    off = [rms(mp3(sound, RATE, compression=level) - sound) for level in (0.0, 0.5, 0.8)]
    assert off == sorted(off)
    assert off[0] < 0.4 * rms(sound)
