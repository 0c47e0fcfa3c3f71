"""What is given as sound to the Python API: checked once, at the edge, in the words of who gave it.

Convention: a waveform is float [samples] or [samples, channels], full scale is 1; sample rates are in Hz.
"""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np

MAX_CHANNELS, MAX_PEAK = 64, 1.5
"""A higher peak is integers that were not scaled; encoders and resamplers pass full scale by less."""
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 1_000, 768_000

SAMPLE_RATE = 16_000
"""Hz; YAMNet's."""


def checked_waveform(waveform: Any) -> np.ndarray:
    """Return a waveform as float32 of the same shape.

    Args:
        waveform: float [samples] or [samples, channels], full scale is 1.

    Raises:
        ValueError: it is empty, of other numbers, not finite, beyond full scale, or the wrong way round.
    """
    given = np.asarray(waveform)
    check_float(given.dtype)
    given = np.asarray(given, np.float32)
    if given.ndim not in (1, 2) or not given.size or not np.isfinite(given).all():
        wrong = (
            "some are NaN or infinite" if given.size and not np.isfinite(given).all() else f"got shape {given.shape}"
        )
        raise ValueError(f"expected finite samples [samples] or [samples, channels]; {wrong}")
    if given.ndim == 2 and given.shape[0] < given.shape[1]:
        raise ValueError(f"expected [samples, channels], got shape {given.shape}: transpose it (waveform.T)")
    if given.ndim == 2 and given.shape[1] > MAX_CHANNELS:
        raise ValueError(f"expected [samples, channels] with at most {MAX_CHANNELS} channels, got {given.shape}")
    peak = float(np.max(np.abs(given)))
    if peak > MAX_PEAK:
        raise ValueError(
            f"expected samples of full scale 1 and a peak of at most {MAX_PEAK}, got {peak:g}: divide them by their "
            "full scale (32768 if they were 16-bit integers)"
        )
    return given


def check_float(dtype: Any) -> None:
    """Refuse samples that are no floats.

    Args:
        dtype: NumPy's type of the samples.

    Raises:
        ValueError: they are integers, complex, text, or objects.
    """
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        full = 1 << (8 * kind.itemsize - 1)
        less = f"subtract {full}, then divide by {full}" if kind.kind == "u" else f"divide by {full}"
        raise ValueError(f"expected float samples, full scale 1, got {kind}: {less}")
    if kind.kind != "f":
        raise ValueError(f"expected float samples, full scale 1, got {kind}")


def check_rate(sample_rate: Any) -> None:
    """Refuse what is no sample rate in Hz.

    Raises:
        ValueError: it is text, no number, or none that a recording has.
    """
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, numbers.Real):
        raise ValueError(f"expected a sample rate in Hz as a number, got {sample_rate!r}")
    rate = float(sample_rate)
    if not math.isfinite(rate) or not MIN_SAMPLE_RATE <= rate <= MAX_SAMPLE_RATE:
        raise ValueError(f"expected a sample rate of {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz, got {sample_rate}")
