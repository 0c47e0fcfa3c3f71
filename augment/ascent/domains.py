"""What the gradient is taken by: the samples of the sound, or what they are made from.

Parameters p [batch, ...] stand for a waveform x = render(p). Ascent in p is ascent in x by the chain rule: `pull` turns
the gradient g = dL/dx into dL/dp, so that the change of x keeps the form that `render` gives it. The paper's functions
work on the samples themselves (`SAMPLES`). The steering forms of (b), (c) and (d) and the spectrogram are these:

- `MASKED`: x = x0 + ISTFT(M STFT(z)), p = z. The change is anything that passes the filter M, real and fixed, so ascent
  finds the best of these; the gradient by z is ISTFT(M STFT(g)), as the transform is its own adjoint (to the window).
  The paper's (c) and (d) instead cut each gradient and add what is left, with a hard mask that follows the sound. Where
  that is digital silence, M takes it for the quietest that 16 bits can hold (`MASK_FLOOR`): a mask of exactly 0 would
  leave patches that YAMNet calls Silence with a score of 1, which outvotes any target.
- `GAINS`: x = x0 + ISTFT(r w X / |X|), p = r, real, with -|X| <= r w <= (`MAX_GAIN` - 1) |X|. It is a pure filter, with
  the gain 1 + r w / |X| >= 0 in each bin: a bin keeps its phase, and what is silent in the sound stays silent. By the
  chain rule dL/dr = w Re(conj(X) G) / |X|, with G the STFT of g: what of the gradient is in phase with the sound. (b)'s
  mask of |G| has lost just that, the sign of the effect. The weight w = |X|^p, p the recipe's power, says how a step
  shares out the change: evenly over the bins, by their own magnitude, or between the two. The frame is the longest that
  the filter can ring: a long one carries the sound into its own pauses, as a room does, where a short one leaves
  digital silence as it is.
- `MAGNITUDES`: x = ISTFT(exp(a) exp(i phase)), p = a, the log magnitudes of all bins, silent ones included; the phase
  follows by Griffin & Lim's iteration, from the sound's own. dL/da = exp(a) Re(conj(exp(i phase)) G), with the phase
  as it is in the sound.

To add a domain, write its functions and list it where a transform uses it (`augment.recipes.tables.TRANSFORMS`).

Sources: Griffin & Lim 1984 (section III); dreaming in spectrograms: Dittmar & Balke, Stamenovic, cited by the paper;
filters in phase with the sound: own derivation, above.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from augment.determinism.row_stable import in_packets, sum_of_rows
from augment.sound.stft import StftShape, istft, stft

GRIFFIN_LIM_ROUNDS = 1
"""Iterations in each step, each time from the phases of the sound; with 4 no more dreams arrive (90.6 % of 64 pairs
either way), and each takes an inverse and a transform more."""

MAGNITUDE_FLOOR = 1e-4
"""Least magnitude that `magnitudes` starts from, relative to that of a sine at full scale."""

MASK_FLOOR = 10 ** (-96 / 20)
"""Least magnitude that `MASKED` reckons with, relative to the loudest bin: the range of 16 bits."""

MAX_GAIN = 30.0
"""The most that `GAINS` multiplies a bin by, 29.5 dB."""

Fixed = tuple[tf.Tensor, ...]
"""What a domain keeps of the source and of the filtering sound, [batch, ...] each."""


@dataclass(frozen=True)
class Domain:
    """A way to make a waveform from parameters.

    Attributes:
        fix: (source, filtering, shape, threshold, power) -> what the other functions need of them; the filtering sound
            is the target sound where the transform has one, else the source, both [batch, samples].
        start: (source, fixed) -> the parameters that stand for the source.
        render: (p, source, fixed, shape) -> waveforms [batch, samples].
        pull: (p, g, fixed, shape) -> the gradient by p from the one by the waveform, to a factor for each clip.
        box: (p, fixed, shape) -> the nearest parameters that are allowed.
        fixed: rank and type of what `fix` gives.
        rank: of p.
        linear: render(p) - source grows in proportion to p - start.
    """

    fix: Callable[[tf.Tensor, tf.Tensor, StftShape, float, float], Fixed]
    start: Callable[[tf.Tensor, Fixed], tf.Tensor]
    render: Callable[[tf.Tensor, tf.Tensor, Fixed, StftShape], tf.Tensor]
    pull: Callable[[tf.Tensor, tf.Tensor, Fixed, StftShape], tf.Tensor]
    box: Callable[[tf.Tensor, Fixed, StftShape], tf.Tensor]
    fixed: tuple[tuple[int, tf.DType], ...] = ()
    rank: int = 2
    linear: bool = True


def _no_box(p: tf.Tensor, fixed: Fixed, shape: StftShape) -> tf.Tensor:
    del fixed, shape
    return p


# The samples themselves ---------------------------------------------------------------------------------------


def _fix_nothing(source: tf.Tensor, filtering: tf.Tensor, shape: StftShape, threshold: float, power: float) -> Fixed:
    del source, filtering, shape, threshold, power
    return ()


def _start_at_source(source: tf.Tensor, fixed: Fixed) -> tf.Tensor:
    del fixed
    return source


def _render_samples(p: tf.Tensor, source: tf.Tensor, fixed: Fixed, shape: StftShape) -> tf.Tensor:
    del source, fixed, shape
    return p


def _pull_samples(p: tf.Tensor, g: tf.Tensor, fixed: Fixed, shape: StftShape) -> tf.Tensor:
    del p, fixed, shape
    return g


SAMPLES = Domain(_fix_nothing, _start_at_source, _render_samples, _pull_samples, _no_box)


# Through a soft mask ------------------------------------------------------------------------------------------


def _fix_mask(source: tf.Tensor, filtering: tf.Tensor, shape: StftShape, threshold: float, power: float) -> Fixed:
    """Keep M = m^p / (m^p + threshold^p) [batch, frames, bins], with m = |Y| / max |Y| of the filtering sound.

    It is the hard cut H(Y) made soft: 1/2 where H would cut, and H itself for an infinite p. A threshold of 0 passes
    everything; m is at least `MASK_FLOOR`. It is scaled so that white noise passes at its own rms: a step is then as
    large as it should be.
    """
    del source
    magnitudes = _magnitude(stft(filtering, shape))
    if threshold == 0:
        return (_complex(tf.ones_like(magnitudes)),)
    relative = tf.math.divide_no_nan(magnitudes, tf.reduce_max(magnitudes, axis=[1, 2], keepdims=True))
    relative = tf.maximum(relative, MASK_FLOOR)
    raised = in_packets(lambda values: tf.pow(values, power), relative / threshold, 0.0)
    return (_complex(_at_unit_rms(tf.where(tf.math.is_inf(raised), 1.0, raised / (raised + 1)))),)


def _at_unit_rms(values: tf.Tensor) -> tf.Tensor:
    """Scale each clip's values [batch, frames, bins] to unit rms; zeros stay zeros."""
    sizes = tf.shape(values)
    mean_square = sum_of_rows(values**2) / tf.cast(sizes[1] * sizes[2], values.dtype)
    return tf.math.divide_no_nan(values, tf.sqrt(mean_square)[:, None, None])


def _start_at_zero(source: tf.Tensor, fixed: Fixed) -> tf.Tensor:
    del fixed
    return tf.zeros_like(source)


def _render_masked(z: tf.Tensor, source: tf.Tensor, fixed: Fixed, shape: StftShape) -> tf.Tensor:
    return source + _pull_masked(z, z, fixed, shape)


def _pull_masked(z: tf.Tensor, g: tf.Tensor, fixed: Fixed, shape: StftShape) -> tf.Tensor:
    del z
    return istft(stft(g, shape) * fixed[0], tf.shape(g)[1], shape)


MASKED = Domain(_fix_mask, _start_at_zero, _render_masked, _pull_masked, _no_box, fixed=((3, tf.complex64),))


# In phase with the sound --------------------------------------------------------------------------------------


def _fix_phases(source: tf.Tensor, filtering: tf.Tensor, shape: StftShape, threshold: float, power: float) -> Fixed:
    """Keep w X / |X| with w = |X|^p at unit rms, and |X| / w, in units of the magnitude of white noise at unit rms.

    With p = 0 a step changes every bin by as much, with p = 1 in proportion to itself.
    """
    del filtering, threshold
    spectra = stft(source, shape)
    magnitudes = _magnitude(spectra) / _magnitude_of_noise(shape)
    weights = _at_unit_rms(in_packets(lambda values: tf.pow(values, power), magnitudes, 0.0))
    return _phases(spectra) * _complex(weights), tf.math.divide_no_nan(magnitudes, weights)


def _start_at_no_gain(source: tf.Tensor, fixed: Fixed) -> tf.Tensor:
    del source
    return tf.zeros_like(fixed[1])


def _render_gains(r: tf.Tensor, source: tf.Tensor, fixed: Fixed, shape: StftShape) -> tf.Tensor:
    return source + istft(_complex(r * _magnitude_of_noise(shape)) * fixed[0], tf.shape(source)[1], shape)


def _pull_gains(r: tf.Tensor, g: tf.Tensor, fixed: Fixed, shape: StftShape) -> tf.Tensor:
    del r
    return _in_phase(fixed[0], stft(g, shape))  # 0 where the sound is silent, as w is


def _box_gains(r: tf.Tensor, fixed: Fixed, shape: StftShape) -> tf.Tensor:
    del shape
    return tf.clip_by_value(r, -fixed[1], (MAX_GAIN - 1) * fixed[1])


def _magnitude_of_noise(shape: StftShape) -> float:
    """Return the rms magnitude of the bins of white noise at unit rms: the root of the window's energy."""
    return math.sqrt(0.375 * shape.frame_length)


GAINS = Domain(
    _fix_phases,
    _start_at_no_gain,
    _render_gains,
    _pull_gains,
    _box_gains,
    fixed=((3, tf.complex64), (3, tf.float32)),
    rank=3,
)


# Magnitudes ---------------------------------------------------------------------------------------------------


def _fix_spectra(source: tf.Tensor, filtering: tf.Tensor, shape: StftShape, threshold: float, power: float) -> Fixed:
    """Keep the phases, the log magnitudes to start from, and the sound that these give."""
    del filtering, threshold, power
    spectra = stft(source, shape)
    floor = MAGNITUDE_FLOOR * tf.cast(tf.shape(spectra)[2] - 1, tf.float32)
    start = in_packets(tf.math.log, tf.maximum(_magnitude(spectra), floor), 1.0)
    phases = _phases(spectra)
    return phases, start, _resynthesis(start, phases, tf.shape(source)[1], shape)


def _start_at_magnitudes(source: tf.Tensor, fixed: Fixed) -> tf.Tensor:
    del source
    return fixed[1]


def _render_magnitudes(a: tf.Tensor, source: tf.Tensor, fixed: Fixed, shape: StftShape) -> tf.Tensor:
    """Render, less what the start alone would be otherwise than the source, by the floor and by its phases."""
    return source + (_resynthesis(a, fixed[0], tf.shape(source)[1], shape) - fixed[2])


def _pull_magnitudes(a: tf.Tensor, g: tf.Tensor, fixed: Fixed, shape: StftShape) -> tf.Tensor:
    return _in_phase(fixed[0], stft(g, shape)) * _exp(a)


def _resynthesis(a: tf.Tensor, phases: tf.Tensor, samples: tf.Tensor, shape: StftShape) -> tf.Tensor:
    """Return the waveforms of log magnitudes, their phases by Griffin and Lim's iteration from the given ones."""
    magnitudes = _complex(_exp(a))
    for _ in range(GRIFFIN_LIM_ROUNDS):
        phases = _phases(stft(istft(magnitudes * phases, samples, shape), shape))
    return istft(magnitudes * phases, samples, shape)


MAGNITUDES = Domain(
    _fix_spectra,
    _start_at_magnitudes,
    _render_magnitudes,
    _pull_magnitudes,
    _no_box,
    fixed=((3, tf.complex64), (3, tf.float32), (2, tf.float32)),
    rank=3,
    linear=False,
)


def _magnitude(spectra: tf.Tensor) -> tf.Tensor:
    """Return |Z|, by operations that each round to the nearest: the same wherever in a batch a bin stands."""
    return tf.sqrt(tf.square(tf.math.real(spectra)) + tf.square(tf.math.imag(spectra)))


def _phases(spectra: tf.Tensor) -> tf.Tensor:
    """Return Z / |Z|, 1 where Z is 0."""
    sizes = _magnitude(spectra)
    silent = sizes < 1e-18
    sizes = tf.where(silent, 1.0, sizes)
    real = tf.where(silent, 1.0, tf.math.real(spectra) / sizes)
    return tf.complex(real, tf.where(silent, 0.0, tf.math.imag(spectra) / sizes))


def _in_phase(phases: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Return Re(conj(phases) gradients)."""
    along = tf.math.real(phases) * tf.math.real(gradients)
    return along + tf.math.imag(phases) * tf.math.imag(gradients)


def _complex(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(values, tf.complex64)


def _exp(values: tf.Tensor) -> tf.Tensor:
    return in_packets(tf.exp, values, 0.0)
