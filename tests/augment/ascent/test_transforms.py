"""Claims about augment.ascent.transforms: laws, a NumPy re-implementation, and what they do on the real model."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from augment.ascent.loop import Dreamer, pad_batch
from augment.ascent.transforms import Step, hard_cut_mask, normalise, rms, sound_mask
from augment.models.yamnet import DreamingModel, padded_length
from augment.recipes.recipe import Recipe
from augment.recipes.tables import TRANSFORMS
from augment.sound.stft import StftShape

SHAPE = StftShape(256, 64)
ADDITIVE = sorted(name for name, transform in TRANSFORMS.items() if transform.adds)
NEEDS_SOUND = sorted(name for name, transform in TRANSFORMS.items() if transform.needs_sound)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32)


def chirp(samples: int) -> np.ndarray:
    seconds = np.arange(samples) / 16_000
    return (0.5 * np.sin(2 * np.pi * (300 + 500 * seconds) * seconds)).astype(np.float32)


def unit(waveforms: np.ndarray) -> np.ndarray:
    return waveforms / np.sqrt(np.mean(np.square(waveforms, dtype=np.float64), axis=1, keepdims=True))


X = noise(3, 3000) * np.linspace(0, 1, 3000, dtype=np.float32)
X[0, 1000:2000] = 0  # silent bins
G = unit(noise(3, 3000, seed=1)).astype(np.float32)
Y = chirp(3000)


def step(eta: float = 0.1, threshold: float = 0.3, power: float = 1.0, *, flip: bool = False) -> Step:
    made = Step(tf.fill([3, 1], eta), threshold, power, flip, SHAPE)
    return replace(made, sound_mask=sound_mask(tf.constant(Y), 3000, made))


def apply(name: str, made: Step) -> np.ndarray:
    return TRANSFORMS[name].apply(tf.constant(X), tf.constant(G), made).numpy()


# NumPy, independently -----------------------------------------------------------------------------------------


def numpy_stft(waveforms: np.ndarray) -> np.ndarray:
    frame, hop = SHAPE.frame_length, SHAPE.hop
    padded = np.pad(waveforms.astype(np.float64), [(0, 0), (frame, 2 * frame)])
    starts = range(0, waveforms.shape[1] + 2 * frame, hop)
    hann = np.hanning(frame + 1)[:-1]
    return np.stack([np.fft.rfft(padded[:, start : start + frame] * hann) for start in starts], axis=1)


def numpy_istft(spectra: np.ndarray, samples: int) -> np.ndarray:
    """Overlap and add the windowed frames, over the sum of the windows' squares (Griffin & Lim 1984, eq. 6)."""
    frame, hop = SHAPE.frame_length, SHAPE.hop
    hann = np.hanning(frame + 1)[:-1]
    total = np.zeros((len(spectra), spectra.shape[1] * hop + frame))
    weight = np.zeros(total.shape[1])
    for index in range(spectra.shape[1]):
        place = slice(index * hop, index * hop + frame)
        total[:, place] += np.fft.irfft(spectra[:, index], frame) * hann
        weight[place] += hann**2
    return total[:, frame : frame + samples] / weight[frame : frame + samples]


def numpy_mask(spectra: np.ndarray, threshold: float, power: float) -> np.ndarray:
    relative = np.abs(spectra) / np.abs(spectra).max(axis=(1, 2), keepdims=True)
    return relative**power > threshold


def close(one: np.ndarray, other: np.ndarray) -> None:
    """Compare all samples but those few where rounding moved a bin over the threshold."""
    assert one.shape == other.shape
    assert np.linalg.norm(one - other) < 1e-3 * np.linalg.norm(other)


@pytest.mark.parametrize(("threshold", "power"), [(0.1, 1.0), (0.3, 1.0), (0.1, 2.0), (0.5, 0.5)])
class TestAgainstNumPy:
    def test_hard_cut_is_the_sound_through_a_filter_of_gradients(self, threshold: float, power: float):
        expected = numpy_istft(numpy_mask(numpy_stft(G), threshold, power) * numpy_stft(X), 3000)
        close(apply("hard_cut", step(0.1, threshold, power)), expected)

    def test_hard_cut_flipped_is_the_gradient_through_a_filter_of_the_sound(self, threshold: float, power: float):
        expected = numpy_istft(numpy_mask(numpy_stft(X), threshold, power) * numpy_stft(G), 3000)
        close(apply("hard_cut", step(0.1, threshold, power, flip=True)), expected)

    def test_hard_cut_add_adds_the_gradient_filtered_by_the_sound(self, threshold: float, power: float):
        added = numpy_istft(numpy_mask(numpy_stft(X), threshold, power) * numpy_stft(G), 3000)
        close(apply("hard_cut_add", step(0.1, threshold, power)) - X, 0.1 * added)

    def test_hard_cut_add_flipped_adds_the_sound_filtered_by_the_gradient(self, threshold: float, power: float):
        added = numpy_istft(numpy_mask(numpy_stft(G), threshold, power) * numpy_stft(X), 3000)
        close(apply("hard_cut_add", step(0.1, threshold, power, flip=True)) - X, 0.1 * added)

    def test_target_filter_adds_the_gradient_filtered_by_the_target_sound(self, threshold: float, power: float):
        added = numpy_istft(numpy_mask(numpy_stft(Y[None]), threshold, power) * numpy_stft(G), 3000)
        close(apply("target_filter", step(0.1, threshold, power)) - X, 0.1 * added)


# Laws ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hard_cut_add", "target_filter"])
@pytest.mark.parametrize("power", [1.0, 3.0])
def test_at_threshold_zero_it_is_deep_dream_silent_bins_included(name: str, power: float):
    made = step(0.1, threshold=0.0, power=power)
    np.testing.assert_allclose(apply(name, made), apply("deep_dream", made), atol=1e-6)


def test_hard_cut_at_threshold_zero_is_the_identity():
    np.testing.assert_allclose(apply("hard_cut", step(threshold=0.0)), X, atol=1e-6)


def test_target_filter_at_threshold_zero_passes_all_even_for_a_silent_target_sound():
    made = step(threshold=0.0)
    silent = replace(made, sound_mask=sound_mask(tf.zeros([10]), 3000, made))
    np.testing.assert_allclose(apply("target_filter", silent), apply("deep_dream", made), atol=1e-6)


def test_deep_dream_adds_eta_times_the_gradient():
    np.testing.assert_allclose(apply("deep_dream", step(0.1)), X + np.float32(0.1) * G, atol=1e-7)


@pytest.mark.parametrize("name", ADDITIVE)
def test_eta_zero_is_the_identity_for_what_adds(name: str):
    np.testing.assert_array_equal(apply(name, step(eta=0.0)), X)


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("flip", [False, True])
def test_the_length_is_kept(name: str, flip: bool):
    assert apply(name, step(flip=flip)).shape == X.shape


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("flip", [False, True])
def test_a_clip_gets_what_it_gets_alone(name: str, flip: bool):
    together = apply(name, step(flip=flip))
    for row in range(3):
        made = replace(step(flip=flip), eta=tf.fill([1, 1], 0.1))
        alone = TRANSFORMS[name].apply(tf.constant(X[row : row + 1]), tf.constant(G[row : row + 1]), made).numpy()
        np.testing.assert_array_equal(together[row], alone[0])


def test_gradients_are_the_gradient_itself():
    np.testing.assert_array_equal(apply("gradients", step()), G)


def test_the_power_serves_the_threshold_only():
    # m^2 > t^2 where m > t, so the power that goes with the threshold changes nothing: the sound is not compressed.
    close(apply("hard_cut", step(threshold=0.3)), apply("hard_cut", step(threshold=0.09, power=2.0)))


def test_the_mask_by_hand():
    spectra = tf.constant(np.array([[[4, 2j, 1, 0]], [[0, 0, 0.001, 0.0004]]], np.complex64))
    half = hard_cut_mask(spectra, 0.4, 1.0).numpy()
    np.testing.assert_array_equal(half, [[[1, 1, 0, 0]], [[0, 0, 1, 0]]])  # 0.4 is not over 0.4
    np.testing.assert_array_equal(hard_cut_mask(spectra, 0.4, 2.0).numpy(), [[[1, 0, 0, 0]], [[0, 0, 1, 0]]])
    np.testing.assert_array_equal(hard_cut_mask(spectra, 0.0, 1.0).numpy(), np.ones((2, 1, 4)))


def test_the_mask_of_silence_is_finite():
    assert not hard_cut_mask(tf.zeros([1, 2, 3], tf.complex64), 0.1, 1.0).numpy().any()


def test_a_short_target_sound_is_repeated_and_a_long_one_cut():
    made = step()
    repeated = sound_mask(tf.constant(Y[:1000]), 3000, made).numpy()
    np.testing.assert_array_equal(repeated, sound_mask(tf.constant(np.tile(Y[:1000], 3)), 3000, made).numpy())
    cut = sound_mask(tf.constant(np.concatenate([Y, Y])), 3000, made).numpy()
    np.testing.assert_array_equal(cut, sound_mask(tf.constant(Y), 3000, made).numpy())


def test_target_filter_without_a_sound_says_so():
    with pytest.raises(ValueError, match="needs a target sound"):
        apply("target_filter", replace(step(), sound_mask=None))


# normalise ----------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(st.integers(-30, 30), st.integers(1, 500))
def test_normalise_gives_unit_rms_from_tiny_to_huge_gradients(exponent: int, length: int):
    waveforms = noise(2, 500) * np.float32(10.0**exponent)
    waveforms[0, length:] = 0
    result = normalise(tf.constant(waveforms), tf.constant([length, 500])).numpy()
    assert np.sqrt(np.sum(result[0].astype(np.float64) ** 2) / length) == pytest.approx(1, rel=1e-5)
    assert np.sqrt(np.mean(result[1].astype(np.float64) ** 2)) == pytest.approx(1, rel=1e-5)


def test_normalise_is_of_each_clip_alone():
    waveforms = noise(3, 500) * np.array([[1e-30], [1.0], [1e20]], np.float32)
    lengths = np.full(3, 500)
    together = normalise(tf.constant(waveforms), tf.constant(lengths)).numpy()
    for row in range(3):
        alone = normalise(tf.constant(waveforms[row : row + 1]), tf.constant(lengths[:1])).numpy()
        np.testing.assert_array_equal(together[row], alone[0])


def test_normalise_leaves_silence_silent_and_divides_by_no_zero():
    result = normalise(tf.zeros([2, 100]), tf.constant([100, 0])).numpy()
    np.testing.assert_array_equal(result, np.zeros((2, 100)))


def test_rms_of_a_sine_over_its_own_length():
    sine = np.zeros((1, 4000), np.float32)
    sine[0, :1600] = 0.5 * np.sin(2 * np.pi * 100 * np.arange(1600) / 16_000)
    assert rms(tf.constant(sine), tf.constant([1600])).numpy()[0] == pytest.approx(0.5 / np.sqrt(2), rel=1e-5)


# On the real model --------------------------------------------------------------------------------------------

LENGTHS = (23_280, 15_601, 20_000, 16_000, 22_222, 18_000, 23_279, 17_001, 21_000)  # one padded length, two patches
CLIPS = [noise(length, seed=seed) * (1 + seed) / 5 for seed, length in enumerate(LENGTHS)]
TARGETS = np.array([70, 283, 0, 494, 70, 132, 20, 289, 390])


def recipe(name: str, **values: object) -> Recipe:
    sound = {"sound": "given"} if TRANSFORMS[name].needs_sound else {}
    plain = {"objective": "margin", "hold": None, "keep": "last"}
    return Recipe.model_validate({"transform": name, "steps": 2, **plain, **sound, **values})


@functools.cache  # each is traced once for all tests
def dreamer(model: DreamingModel, name: str, **values: object) -> Dreamer:
    return Dreamer(model, recipe(name, **values), chirp(8000) if TRANSFORMS[name].needs_sound else None)


def run(made: Dreamer, order: list[int] | range) -> tuple[np.ndarray, np.ndarray]:
    waveforms, lengths = pad_batch([CLIPS[index] for index in order])
    return made(waveforms, lengths, TARGETS[list(order)])[:2]


def test_the_clips_of_the_batch_laws_share_a_padded_length_and_no_length():
    assert {padded_length(length) for length in LENGTHS} == {23_280}
    assert len(set(LENGTHS)) == 9


@pytest.mark.parametrize("name", ["deep_dream", "hard_cut_add", "gradients"])
def test_a_clip_dreams_the_same_alone_and_in_every_batch_and_order_bit_by_bit(model: DreamingModel, name: str):
    made = dreamer(model, name)
    alone = [run(made, [index]) for index in range(9)]
    for order in (range(2), range(5), range(9), list(reversed(range(9))), [7, 3], [4, 4, 0]):
        waveforms, objectives = run(made, order)
        for row, index in enumerate(order):
            np.testing.assert_array_equal(waveforms[row], alone[index][0][0])
            np.testing.assert_array_equal(objectives[:, row], alone[index][1][:, 0])


@pytest.mark.parametrize("name", ["deep_dream", "soft_cut_add", "gain_filter", "spectrogram"])
def test_a_batch_of_nine_steered_as_by_default_is_what_each_clip_is_alone_bit_by_bit(model: DreamingModel, name: str):
    made = dreamer(model, name, objective="soft_margin", keep="best")
    waveforms, objectives = run(made, range(9))  # more clips than a vector unit has lanes
    for index in range(0, 9, 2):
        alone = run(made, [index])
        np.testing.assert_array_equal(waveforms[index], alone[0][0])
        np.testing.assert_array_equal(objectives[:, index], alone[1][:, 0])


@pytest.mark.parametrize(("objective", "update"), [("score", "momentum"), ("logit", "adam")])
def test_other_objectives_and_updates_dream_the_same_alone_and_in_a_batch_bit_by_bit(
    model: DreamingModel, objective: str, update: str
):
    made = Dreamer(model, Recipe.model_validate({"objective": objective, "update": update, "steps": 2}))
    together, _ = run(made, range(5))
    for index in (0, 3, 4):
        np.testing.assert_array_equal(together[index], run(made, [index])[0][0])


@pytest.mark.parametrize(
    "name", ["hard_cut", "target_filter", "gain_filter", "soft_cut_add", "soft_target_filter", "spectrogram"]
)
def test_filters_dream_the_same_alone_and_in_a_batch_bit_by_bit(model: DreamingModel, name: str):
    made = dreamer(model, name)
    together, _ = run(made, range(5))
    for index in (0, 3):
        np.testing.assert_array_equal(together[index], run(made, [index])[0][0])


def test_the_padding_depends_on_the_clip_alone_so_a_mixed_folder_dreams_as_each_clip_does(model: DreamingModel):
    made = dreamer(model, "deep_dream")
    clips = [noise(length) for length in (100, 15_600, 15_000, 24_000, 30_000)]
    groups: dict[int, list[np.ndarray]] = {}
    for clip in clips:
        groups.setdefault(padded_length(len(clip)), []).append(clip)
    assert sorted(map(len, groups.values())) == [2, 3]
    for group in groups.values():
        together = made(*pad_batch(group), np.full(len(group), 70)).waveforms
        for row, clip in enumerate(group):
            np.testing.assert_array_equal(together[row], made(*pad_batch([clip]), np.array([70]))[0][0])


@pytest.mark.parametrize(
    ("name", "flip"), [(n, f) for n, t in TRANSFORMS.items() for f in (False, True) if t.flips or not f]
)
def test_silence_stays_finite(model: DreamingModel, name: str, flip: bool):
    made = dreamer(model, name, flip=flip, step_unit="full_scale")
    waveforms, lengths = pad_batch([np.zeros(16_000, np.float32), CLIPS[0]])
    dreamed, objectives, _ = made(waveforms, lengths, np.array([70, 70]))
    assert np.isfinite(dreamed).all()
    assert np.isfinite(objectives).all()


@pytest.mark.parametrize("name", ADDITIVE)
def test_a_step_relative_to_silence_is_none(model: DreamingModel, name: str):
    dreamed = dreamer(model, name, step_unit="clip_rms", snr_db=20)(
        *pad_batch([np.zeros(16_000, np.float32)]), np.array([70])
    )
    assert not dreamed.waveforms.any()


@pytest.mark.parametrize("name", TRANSFORMS)
def test_samples_beyond_a_clips_length_stay_zero(model: DreamingModel, name: str):
    dreamed, _ = run(dreamer(model, name), range(3))
    for row, length in zip(dreamed, LENGTHS, strict=False):
        assert not row[length:].any()
        assert row[:length].any()


def test_gradients_have_unit_rms_over_each_clips_own_length(model: DreamingModel):
    dreamed, _ = run(dreamer(model, "gradients"), range(3))
    for row, length in zip(dreamed, LENGTHS, strict=False):
        assert np.sqrt(np.mean(np.square(row[:length], dtype=np.float64))) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("name", ADDITIVE)
def test_a_step_size_of_zero_is_the_identity(model: DreamingModel, name: str):
    waveforms, lengths = pad_batch(CLIPS[:2])
    dreamed = dreamer(model, name, step_size=0, snr_db=20)(waveforms, lengths, TARGETS[:2]).waveforms
    np.testing.assert_array_equal(dreamed, waveforms)


@pytest.mark.parametrize("name", ["hard_cut_add", "target_filter"])
def test_a_dream_at_threshold_zero_is_deep_dreams(model: DreamingModel, name: str):
    plain, _ = run(dreamer(model, "deep_dream"), range(2))
    masked, _ = run(dreamer(model, name, threshold=0, snr_db=20), range(2))
    np.testing.assert_allclose(masked, plain, atol=1e-5)


@pytest.mark.parametrize("name", NEEDS_SOUND)
@pytest.mark.parametrize("sound", [None, np.zeros(0, np.float32)])
def test_a_dreamer_without_the_target_sound_it_needs_is_refused(model: DreamingModel, name: str, sound: object):
    with pytest.raises(ValueError, match="needs a target sound"):
        Dreamer(model, recipe(name), sound)  # type: ignore[arg-type]


def test_one_trace_serves_batches_of_every_shape(model: DreamingModel):
    made = dreamer(model, "hard_cut_add")
    for order in ([0], [0, 1], [0, 1, 2]):
        run(made, order)
    made(*pad_batch([noise(100)]), np.array([3]))
    made(*pad_batch([noise(40_000)]), np.array([3]))
    assert made._gradient.step.experimental_get_tracing_count() == 1
