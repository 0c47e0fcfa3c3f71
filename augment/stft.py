"""Short-time Fourier transform and its exact inverse, batched.

Waveforms are float32 [batch, samples]; spectra complex64 [batch, frames, bins]. The signal is framed from one frame
before its start to one frame behind its end, so that every sample lies under a full set of windows: `istft` of `stft`
is the identity to float rounding, edges included, for any hop up to half the frame. The window is a periodic Hann, the
synthesis window its dual (Griffin & Lim 1984, eq. 6).
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class StftShape:
    """How a waveform is framed: ``frame_length`` and ``hop`` in samples; the FFT is as long as the frame."""

    frame_length: int = 1024
    hop: int = 256


def stft(waveforms: tf.Tensor, shape: StftShape) -> tf.Tensor:
    """Return the spectra [batch, frames, frame_length // 2 + 1] of the waveforms [batch, samples]."""
    pad = shape.frame_length
    padded = tf.pad(waveforms, [[0, 0], [pad, pad]])
    return tf.signal.stft(padded, shape.frame_length, shape.hop, shape.frame_length, pad_end=True)


def istft(spectra: tf.Tensor, samples: tf.Tensor | int, shape: StftShape) -> tf.Tensor:
    """Return the waveforms [batch, samples] of the spectra that `stft` gave for that many samples."""
    waveforms = tf.signal.inverse_stft(
        spectra,
        shape.frame_length,
        shape.hop,
        shape.frame_length,
        window_fn=tf.signal.inverse_stft_window_fn(shape.hop),
    )
    return waveforms[:, shape.frame_length : shape.frame_length + samples]
