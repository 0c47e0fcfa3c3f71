"""From a sound to the model's input and back: channels and sample rates.

YAMNet takes mono at 16 kHz. A sound of any rate and channel count is mixed down (the mean of its channels) and
resampled to be dreamed; the result then goes back to the sound's own rate and channels (`restore`). Sounds are float32
[samples, channels]; mono at 16 kHz is float32 [samples].
"""

from __future__ import annotations

import numpy as np
import soxr

from augment.sound.samples import SAMPLE_RATE

QUALITY = "HQ"
"""soxr's recipe: 20 bits, flat to 7.3 kHz at 16 kHz; YAMNet's highest band ends at 7.5 kHz."""


def to_model(sound: np.ndarray, sample_rate: int, model_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Mix a sound [samples, channels] down to mono and resample it to the model's rate: float32 [samples there]."""
    return _resample(_mono(sound), sample_rate, model_rate)


class Reel:
    """The part of a stream that is still needed, by its place in the whole; arrays [any, ...]."""

    def __init__(self) -> None:
        """Begin at 0, with nothing."""
        self._parts: list[np.ndarray] = []
        self._first = self.end = 0

    def add(self, block: np.ndarray) -> None:
        """Take what follows."""
        self._parts.append(block)
        self.end += len(block)

    def piece(self, start: int, stop: int) -> np.ndarray:
        """Return what lies at [start, stop), or as much of it as there is."""
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        return self._parts[0][start - self._first : stop - self._first]

    def forget(self, before: int) -> None:
        """Give up what lies before a place."""
        kept = self.piece(max(before, self._first), self.end)
        self._parts = [kept.copy()]  # a view would hold on to the whole
        self._first = self.end - len(kept)


class InputStream:
    """The model's input for a sound that comes block by block; in all, what `to_model` gives for the whole."""

    def __init__(self, sample_rate: int, model_rate: int = SAMPLE_RATE):
        """Begin.

        Args:
            sample_rate: Hz, of the sound.
            model_rate: Hz of the model.
        """
        self._rates = sample_rate, model_rate
        same = sample_rate == model_rate
        self._stream = None if same else soxr.ResampleStream(sample_rate, model_rate, 1, "float32", QUALITY)
        self._taken = self._given = 0

    def add(self, block: np.ndarray) -> np.ndarray:
        """Take the next block [samples, channels]; return what is ready, float32 [samples there]."""
        self._taken += len(block)
        return self._resample(_mono(block), last=False)

    def finish(self) -> np.ndarray:
        """Return the rest."""
        rest = self._resample(np.zeros(0, np.float32), last=True)
        sample_rate, model_rate = self._rates
        return _fit(rest, len(rest) + round(self._taken * model_rate / sample_rate) - self._given)

    def _resample(self, mono: np.ndarray, *, last: bool) -> np.ndarray:
        found = mono if self._stream is None else self._stream.resample_chunk(np.ascontiguousarray(mono), last=last)
        self._given += len(found)
        return found.astype(np.float32, copy=False)


def restore(
    sound: np.ndarray,
    sample_rate: int,
    dreamed: np.ndarray,
    model_input: np.ndarray,
    *,
    adds: bool,
    model_rate: int = SAMPLE_RATE,
    turn_down: bool = True,
) -> np.ndarray:
    """Bring a dream back to the sound's own sample rate and channels.

    Where the transform adds (`adds`), the change that was dreamed at 16 kHz is resampled and added to the sound: what
    lies above 8 kHz, where YAMNet is deaf, stays as it was. Otherwise the dream takes the sound's place, and above 8
    kHz there is nothing: a filter made of gradients passes nothing where there is no gradient. Of a sound sampled
    below 16 kHz, what was dreamed above half its rate is lost.

    Channels get the dream in proportion to their own rms, with a mean weight of 1: the mix of the result is the dream
    that was computed, and a silent channel stays silent. For a mono sound panned over the channels this is exactly the
    transform of each channel.

    An added change is limited to full scale, or to the sound's own peak where that is higher; a sound that takes the
    other's place is turned down as a whole if it peaks above full scale.

    Args:
        sound: float32 [samples, channels] at sample_rate.
        sample_rate: Hz.
        dreamed: float32 [samples at 16 kHz], the dream.
        model_input: float32 [samples at 16 kHz], what `to_model` gave for the sound.
        adds: the transform adds a change.
        model_rate: Hz of dreamed and model_input, for models other than YAMNet.
        turn_down: a sound that takes the other's place is turned down; a piece of one is left to be turned down with
            the others.

    Returns:
        float32 [samples, channels] at sample_rate, as long as the sound.
    """
    result = dreamed - model_input if adds else dreamed
    own_rate = _fit(_resample(result, model_rate, sample_rate), len(sound))
    shares = own_rate[:, None] * _channel_weights(sound)
    if adds:
        limit = max(1.0, float(np.max(np.abs(sound), initial=0.0)))
        return np.clip(sound + shares, -limit, limit).astype(np.float32)
    peak = float(np.max(np.abs(shares), initial=0.0)) if turn_down else 1.0
    return (shares / max(1.0, peak)).astype(np.float32)


def _mono(sound: np.ndarray) -> np.ndarray:
    return sound.mean(axis=1, dtype=np.float32) if sound.shape[1] > 1 else sound[:, 0]


def _channel_weights(sound: np.ndarray) -> np.ndarray:
    rms = np.sqrt(np.mean(np.square(sound, dtype=np.float64), axis=0))  # [channels]
    total = rms.sum()
    if total == 0:
        return np.ones(sound.shape[1], np.float32)
    return (rms * (sound.shape[1] / total)).astype(np.float32)


def _resample(mono: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    if rate == new_rate:
        return np.ascontiguousarray(mono, np.float32)
    return _fit(soxr.resample(mono, rate, new_rate, quality=QUALITY), round(len(mono) * new_rate / rate))


def _fit(mono: np.ndarray, samples: int) -> np.ndarray:
    """Cut or pad with zeros to this length (resampling there and back may differ by one sample)."""
    return np.pad(mono[:samples], (0, max(0, samples - len(mono)))).astype(np.float32)
