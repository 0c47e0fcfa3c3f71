"""Claims about augment.sound.stft: it is its own inverse, and it is what scipy and NumPy compute."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.signal
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from augment.sound.stft import StftShape, istft, stft


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.3, shape).astype(np.float32)


def there_and_back(waveforms: np.ndarray, shape: StftShape) -> np.ndarray:
    return istft(stft(tf.constant(waveforms), shape), waveforms.shape[1], shape).numpy()


@pytest.mark.parametrize("samples", [1, 15, 1000, 1024, 15600, 16001])
@pytest.mark.parametrize(("frame_length", "hop"), [(1024, 256), (1024, 512), (512, 100), (400, 160), (16, 1)])
def test_stft_then_istft_is_the_identity_edges_included(samples: int, frame_length: int, hop: int):
    waveforms = noise(2, samples)
    back = there_and_back(waveforms, StftShape(frame_length, hop))
    np.testing.assert_allclose(back, waveforms, atol=2e-6)


@settings(deadline=None, max_examples=40)
@given(st.integers(8, 300), st.data())
def test_stft_then_istft_is_the_identity_for_any_hop_up_to_half_the_frame(half_frame: int, data: st.DataObject):
    hop = data.draw(st.integers(max(1, half_frame // 16), half_frame))
    samples = data.draw(st.integers(1, 3000))
    waveforms = noise(1, samples, seed=samples)
    back = there_and_back(waveforms, StftShape(2 * half_frame, hop))
    np.testing.assert_allclose(back, waveforms, atol=5e-6)


def test_the_identity_holds_where_a_sound_is_loud_at_its_very_edges():
    waveforms = np.zeros((1, 5000), np.float32)
    waveforms[0, [0, -1]] = 1.0, -1.0
    np.testing.assert_allclose(there_and_back(waveforms, StftShape()), waveforms, atol=1e-6)


def test_stft_is_numpys_fft_of_hann_windowed_frames():
    frame, hop = 64, 24
    waveform = noise(500)
    padded = np.pad(waveform, (48, 2 * frame))  # two hops, fewer than a frame, reach back before the sound
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frame) / frame)
    spectra = stft(tf.constant(waveform[None]), StftShape(frame, hop)).numpy()[0]
    assert len(spectra) == len(range(-48, 500, hop))
    for index, spectrum in enumerate(spectra):
        piece = padded[index * hop : index * hop + frame]
        np.testing.assert_allclose(spectrum, np.fft.rfft(piece * hann), atol=2e-5)


def test_stft_equals_scipys_on_interior_frames():
    shape = StftShape(256, 64)
    waveform = noise(4000)
    window: Any = scipy.signal.get_window("hann", 256)
    _, _, theirs = scipy.signal.stft(waveform, window=window, nperseg=256, noverlap=192, boundary=None, padded=False)  # type: ignore[arg-type]
    ours = stft(tf.constant(waveform[None]), shape).numpy()[0]
    first = 3  # the frame that starts with the sound
    expected = theirs.T * window.sum()
    np.testing.assert_allclose(ours[first : first + len(expected)], expected, atol=1e-4)


@pytest.mark.filterwarnings("ignore:NOLA condition failed")  # at the outermost sample, which lies in the padding
def test_istft_of_changed_spectra_equals_scipys():
    shape = StftShape(256, 64)
    waveform = noise(4000)
    spectra = stft(tf.constant(waveform[None]), shape)
    masked = spectra * tf.cast(np.random.default_rng(1).random(spectra.numpy().shape) > 0.5, tf.complex64)
    window: Any = scipy.signal.get_window("hann", 256)
    scaled = masked.numpy()[0].T.astype(np.complex128) / window.sum()
    _, theirs = scipy.signal.istft(scaled, window=window, nperseg=256, noverlap=192, boundary=False)
    ours = istft(masked, 4000, shape).numpy()[0]
    np.testing.assert_allclose(ours, theirs[192 : 192 + 4000], atol=1e-5)


def test_a_sine_has_the_magnitude_that_its_window_gives():
    rate, frame = 16_000, 1024
    hz = 64 * rate / frame  # a bin's very frequency
    waveform = np.sin(2 * np.pi * hz * np.arange(rate) / rate).astype(np.float32)
    magnitudes = np.abs(stft(tf.constant(waveform[None]), StftShape(frame, 256)).numpy()[0, 10])
    assert magnitudes.argmax() == 64
    np.testing.assert_allclose(magnitudes[[63, 64, 65]], [frame / 8, frame / 4, frame / 8], rtol=1e-3)


def test_a_clip_has_the_spectra_that_it_has_alone():
    waveforms = noise(5, 3000)
    together = stft(tf.constant(waveforms), StftShape()).numpy()
    for row, waveform in enumerate(waveforms):
        np.testing.assert_array_equal(together[row], stft(tf.constant(waveform[None]), StftShape()).numpy()[0])
