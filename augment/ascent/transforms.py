"""The activation-maximization functions: how a gradient changes a sound.

Conventions: x is the waveform [batch, samples] at 16 kHz; g the gradient of the objective at x, each clip's own at unit
rms (`normalise`); X, G, Y the STFTs of x, of g and of a target sound; eta the size of a step. The hard-cut mask is
H(Z) = 1 where (|Z| / max |Z|)^p > threshold, else 0; the paper's compression exponent p serves the threshold only, the
sound itself is never compressed. A threshold of 0 passes everything, silent bins included, so that (c) and (d) are then
(a). All that a clip's change depends on is its own row.

The steering forms keep (a)'s step, p + eta g, and take the gradient by something else than the samples
(`augment.ascent.domains`): `gain_filter` is a (b) that steers, `soft_cut_add` (c), `soft_target_filter` (d);
`spectrogram` is the road of the paper's predecessors.

To add a function, write it here and list it in `augment.recipes.tables.TRANSFORMS`.

Source: Cámara Halac & Delgadino, DreamSound: Deep Activation Layer Sonification, ICAD 2021, whose letters (a) to (d)
the docstrings give.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import tensorflow as tf

from augment.determinism.row_stable import sum_of_rows
from augment.sound.stft import StftShape, istft, stft


@dataclass(frozen=True)
class Step:
    """What a transform works with beside x and g.

    Attributes:
        eta: [batch, 1], the rms of one additive step, in the waveform's units (full scale is 1).
        threshold: of the hard-cut mask, in [0, 1).
        power: p, the exponent on the normalised magnitude; over 1 makes the mask narrower.
        flip: whether the filter and the filtered change places.
        shape: of the STFT.
        sound_mask: H(Y) [1, frames, bins] of the target sound, for `target_filter` only.
    """

    eta: tf.Tensor
    threshold: float = 0.0
    power: float = 1.0
    flip: bool = False
    shape: StftShape = field(default_factory=StftShape)
    sound_mask: tf.Tensor | None = None

    def mask(self, spectra: tf.Tensor) -> tf.Tensor:
        """Return H of the spectra."""
        return hard_cut_mask(spectra, self.threshold, self.power)


def normalise(waveforms: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Scale each clip [batch, samples] to unit rms over its own length; silence stays silence."""
    return tf.math.divide_no_nan(waveforms, rms(waveforms, lengths)[:, None])


def rms(waveforms: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Return the root mean square [batch] of each clip over its own length, free of under- and overflow."""
    peaks = tf.reduce_max(tf.abs(waveforms), axis=1)
    scaled = tf.math.divide_no_nan(waveforms, peaks[:, None])
    mean_square = sum_of_rows(scaled**2) / tf.cast(tf.maximum(lengths, 1), waveforms.dtype)
    return peaks * tf.sqrt(mean_square)


def hard_cut_mask(spectra: tf.Tensor, threshold: float, power: float) -> tf.Tensor:
    """Return H(Z): float32 0 or 1 for each bin of spectra complex64 [batch, frames, bins]."""
    magnitudes = tf.abs(spectra)
    if threshold == 0:
        return tf.ones_like(magnitudes)
    relative = tf.math.divide_no_nan(magnitudes, tf.reduce_max(magnitudes, axis=[1, 2], keepdims=True))
    return tf.cast(relative > threshold ** (1 / power), tf.float32)  # the same, without a power that rounds


def deep_dream(x: tf.Tensor, g: tf.Tensor, step: Step) -> tf.Tensor:
    """(a) x + eta g: additive gradient ascent (Mordvintsev et al. 2015, on a waveform)."""
    return x + step.eta * g


def hard_cut(x: tf.Tensor, g: tf.Tensor, step: Step) -> tf.Tensor:
    """(b) ISTFT(H(G) X): the sound through a filter made of the gradients; flipped, ISTFT(H(X) G)."""
    spectra, gradients = stft(x, step.shape), stft(g, step.shape)
    if step.flip:
        return _filtered(gradients, step.mask(spectra), x, step)
    return _filtered(spectra, step.mask(gradients), x, step)


def hard_cut_add(x: tf.Tensor, g: tf.Tensor, step: Step) -> tf.Tensor:
    """(c) x + eta ISTFT(H(X) G): gradients where the sound is strong; flipped, x + eta ISTFT(H(G) X)."""
    return x + step.eta * hard_cut(x, g, step=_flipped(step))


def target_filter(x: tf.Tensor, g: tf.Tensor, step: Step) -> tf.Tensor:
    """(d) x + eta ISTFT(H(Y) G): gradients where the target sound is strong."""
    if step.sound_mask is None:
        raise ValueError("target_filter needs a target sound")
    return x + step.eta * _filtered(stft(g, step.shape), step.sound_mask, x, step)


def gradients(x: tf.Tensor, g: tf.Tensor, step: Step) -> tf.Tensor:
    """Return g itself, at unit rms: the gradients sonified."""
    del x, step
    return g


def fitted(sound: tf.Tensor, samples: int) -> tf.Tensor:
    """Return a target sound [samples], repeated or cut to the given samples: [1, samples]."""
    repeats = -(-samples // sound.shape.num_elements())
    return tf.tile(sound, [repeats])[None, :samples]


def sound_mask(sound: tf.Tensor, samples: int, step: Step) -> tf.Tensor:
    """Return H(Y) [1, frames, bins] of a target sound [samples], repeated or cut to the given samples."""
    return step.mask(stft(fitted(sound, samples), step.shape))


def _filtered(spectra: tf.Tensor, mask: tf.Tensor, x: tf.Tensor, step: Step) -> tf.Tensor:
    return istft(spectra * tf.cast(mask, spectra.dtype), tf.shape(x)[1], step.shape)


def _flipped(step: Step) -> Step:
    return replace(step, flip=not step.flip)
