"""Short-time Fourier transform and its exact inverse, batched.

Waveforms are float32 [batch, samples]; spectra complex64 [batch, frames, bins]. The frames are all those that hold a
sample of the signal, on a grid of which one frame starts with it, so that each sample lies under a full set of windows:
`istft` of `stft` is the identity to float rounding, edges included, for any hop up to half the frame. The window is a
periodic Hann, the synthesis window its dual (Griffin & Lim 1984, eq. 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class StftShape:
    """How a waveform is framed: ``frame_length`` and ``hop`` in samples; the FFT is as long as the frame."""

    frame_length: int = 1024
    hop: int = 256


def stft(waveforms: tf.Tensor, shape: StftShape) -> tf.Tensor:
    """Return the spectra [batch, frames, frame_length // 2 + 1] of the waveforms [batch, samples]."""
    samples: Any = tf.shape(waveforms)[1]
    before = _before(shape)
    frames = before // shape.hop - (-samples // shape.hop)
    behind = (frames - 1) * shape.hop + shape.frame_length - before - samples
    around: Any = [[0, 0], [before, behind]]
    padded = tf.pad(waveforms, around)
    return tf.signal.stft(padded, shape.frame_length, shape.hop, shape.frame_length)


def istft(spectra: tf.Tensor, samples: tf.Tensor | int, shape: StftShape) -> tf.Tensor:
    """Return the waveforms [batch, samples] of the spectra that `stft` gave for that many samples."""
    waveforms = tf.signal.inverse_stft(
        spectra,
        shape.frame_length,
        shape.hop,
        shape.frame_length,
        window_fn=tf.signal.inverse_stft_window_fn(shape.hop),
    )
    before = _before(shape)
    return waveforms[:, before : before + samples]


def _before(shape: StftShape) -> int:
    """Return the samples of silence that frames reach back before the signal: whole hops, fewer than a frame."""
    return (shape.frame_length - 1) // shape.hop * shape.hop
