"""What a dream starts from: the clip, noise instead of it, near silence, or a mix of clip and noise.

Noise is drawn from a number (`augment.determinism.draws`) and is as loud as the clip (its rms), so that a dream from
noise fits among the clips. White noise has the same power at every frequency, pink noise falls by 3 dB an octave from
20 Hz. To add a start, write its function here and list it in `augment.recipes.tables.STARTS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from augment.recipes.tables import STARTS

SILENCE_DB = -60.0
"""Rms of the noise in near silence, dB of full scale: something for the gradient to hold on to."""

MIX_DB = -6.0
"""Level of the white noise in a mix, dB relative to the clip."""

NO_CLIP_DB = -20.0
"""Rms of noise where there is no clip to match, dB of full scale."""

_PINK_FROM_HZ = 20.0
_PINK_SECONDS = 4.0  # between the pieces that a stream of pink noise is made of, which are twice as long


class StartError(ValueError):
    """There is nothing to start from."""


def clip(waveform: np.ndarray, sample_rate: int, number: int) -> np.ndarray:
    """Return the clip itself."""
    del sample_rate, number
    return waveform


def white(waveform: np.ndarray, sample_rate: int, number: int) -> np.ndarray:
    """Return white noise at the clip's rms."""
    del sample_rate
    return _at_rms(_white(waveform.shape, number), _rms(waveform))


def pink(waveform: np.ndarray, sample_rate: int, number: int) -> np.ndarray:
    """Return pink noise at the clip's rms."""
    return _at_rms(_redden(_white(waveform.shape, number), sample_rate), _rms(waveform))


def silence(waveform: np.ndarray, sample_rate: int, number: int) -> np.ndarray:
    """Return near silence: white noise at `SILENCE_DB`."""
    del sample_rate
    return _at_rms(_white(waveform.shape, number), 10 ** (SILENCE_DB / 20))


def mix(waveform: np.ndarray, sample_rate: int, number: int) -> np.ndarray:
    """Return the clip with white noise at `MIX_DB`."""
    return (waveform + 10 ** (MIX_DB / 20) * white(waveform, sample_rate, number)).astype(np.float32)


def stream(kind: str, blocks: Iterable[np.ndarray], sample_rate: int, number: int, rms: float) -> Iterator[np.ndarray]:
    """Turn a clip that comes block by block into its start, which is of one piece.

    Args:
        kind: one of `STARTS`.
        blocks: float32 [any, channels], the clip.
        sample_rate: Hz.
        number: the draw.
        rms: of the whole clip.

    Yields:
        float32 blocks of the same shapes.

    Raises:
        StartError: the kind needs the whole clip at once.
    """
    if kind == "clip":
        yield from blocks
        return
    if not STARTS[kind].streams:
        raise StartError(f"start {kind} needs the whole clip in memory; use it for clips under five minutes")
    level = {"silence": 10 ** (SILENCE_DB / 20), "mix": rms * 10 ** (MIX_DB / 20)}.get(kind, rms)
    generator = np.random.Generator(np.random.PCG64(number))
    pieces: Iterator[np.ndarray] | None = None
    left = np.zeros((0, 1))
    for block in blocks:
        if kind != "pink":
            noise = generator.standard_normal(block.shape)
        else:
            pieces = pieces or _pink_pieces(generator, sample_rate, block.shape[1])
            while len(left) < len(block):
                left = np.concatenate([left, next(pieces)]) if len(left) else next(pieces)
            noise, left = left[: len(block)], left[len(block) :]
        yield (level * noise + (block if kind == "mix" else 0.0)).astype(np.float32)


def without_clip(kind: str, seconds: float, sample_rate: int, number: int) -> np.ndarray:
    """Return a start without a clip, float32 [samples, 1], noise at `NO_CLIP_DB`.

    Raises:
        StartError: the kind needs a clip.
    """
    if STARTS[kind].needs_clip:
        others = [name for name, start in STARTS.items() if not start.needs_clip]
        raise StartError(f"start {kind} needs a clip; without one, start from {', '.join(others)}")
    level = np.full((max(1, round(seconds * sample_rate)), 1), 10 ** (NO_CLIP_DB / 20), np.float32)
    return STARTS[kind](level, sample_rate, number)


def _white(shape: tuple[int, ...], number: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(number)).standard_normal(shape)


def _redden(white: np.ndarray, sample_rate: int) -> np.ndarray:
    """Make white noise [samples, channels] pink, at any level."""
    spectra = np.fft.rfft(white, axis=0)
    frequencies = np.fft.rfftfreq(len(white), 1 / sample_rate)
    spectra /= np.sqrt(np.maximum(frequencies, _PINK_FROM_HZ))[:, None]
    return np.fft.irfft(spectra, len(white), axis=0)


def _pink_pieces(generator: np.random.Generator, sample_rate: int, channels: int) -> Iterator[np.ndarray]:
    """Give endless pink noise at unit rms, [samples, channels] at a time: pieces that fade into one another.

    They are independent, and the squares of their fades sum to 1: the noise is as loud everywhere.
    """
    apart = round(_PINK_SECONDS * sample_rate)
    fade = np.sin(np.pi * (np.arange(2 * apart) + 0.5) / (2 * apart))[:, None]
    last = None
    while True:
        piece = fade * _at_rms(_redden(generator.standard_normal((2 * apart, channels)), sample_rate), 1.0)
        if last is not None:
            yield last[apart:] + piece[:apart]
        last = piece


def _rms(waveform: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))


def _at_rms(noise: np.ndarray, rms: float) -> np.ndarray:
    own = _rms(noise)
    return (noise * (rms / own if own else 0.0)).astype(np.float32)
