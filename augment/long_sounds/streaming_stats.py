"""Scores, loudness and distance of a sound that does not fit into memory.

Each takes the sound block by block, float32 [samples, channels] at its own rate. The result is that of
`AudioModel.clip_scores`, `augment.sound.distance.lufs` or `augment.sound.distance.distance` on the whole sound.
"""

from __future__ import annotations

import math
from array import array

import numpy as np
import pyloudnorm
import soxr
from scipy import signal

from augment.ascent.budgets import Budget
from augment.long_sounds.windows import patch_grid
from augment.models.interface import AudioModel
from augment.sound.distance import MAX_CHANNELS, MIN_RATE, Distance
from augment.sound.resampling import InputStream, Reel

PIECE_SECONDS = 60.0
"""About how much is scored at a time."""

_ABSOLUTE_LUFS, _RELATIVE_LU, _OFFSET_LUFS = -70.0, -10.0, -0.691  # BS.1770-4: gates, and what a full-scale sine is off
_SURROUND_GAINS = (1.0, 1.0, 1.0, 1.41, 1.41)  # L, R, C, Ls, Rs
_BLOCK_SECONDS, _BLOCK_STEP = 0.4, 0.25  # a gating block, and the share of it by which the next one is later


class RunningScores:
    """The scores of a sound: the mean over its patches, each scored once.

    Where patches have no grid (`augment.long_sounds.windows.patch_grid`), the mean over pieces of about a minute by
    their length.
    """

    def __init__(self, model: AudioModel, sample_rate: int):
        """Begin a sound of that rate, in Hz."""
        self._model = model
        self._resampler, self._input = InputStream(sample_rate, model.sample_rate), Reel()
        self._length = model.padded_length(round(PIECE_SECONDS * model.sample_rate))
        self._grid = patch_grid(model)
        whole = self._length if self._grid is None else int(model.patch_count(self._length)) * self._grid[1]
        self._next, self._begun = whole, 0
        self._total, self._weight = np.zeros(len(model.classes)), 0

    def add(self, block: np.ndarray) -> None:
        """Take the next block [samples, channels]."""
        self._input.add(self._resampler.add(block))
        while self._input.end > self._begun + max(self._length, self._next):  # there is more to come
            self._score(self._begun + self._length)
            self._begun += self._next
            self._input.forget(self._begun)

    def scores(self) -> np.ndarray:
        """Return the scores of all that came, at least one sample: float32 [classes]."""
        self._input.add(self._resampler.finish())
        end = self._input.end
        if self._grid is None or int(self._model.patch_count(end)) * self._grid[1] > self._begun:
            self._score(end)
        return (self._total / self._weight).astype(np.float32)

    def _score(self, stop: int) -> None:
        piece = self._input.piece(self._begun, stop)
        weight = len(piece) if self._grid is None else int(self._model.patch_count(len(piece)))
        padded = np.zeros((1, self._model.padded_length(len(piece))), np.float32)
        padded[0, : len(piece)] = piece
        self._total += weight * self._model.scores(padded, np.array([len(piece)]))[0].astype(np.float64)
        self._weight += weight


class RunningLoudness:
    """Integrated loudness by ITU-R BS.1770-4, as pyloudnorm measures it, of 0.4 s or more."""

    def __init__(self, sample_rate: int, channels: int):
        """Begin a sound of that rate, in Hz, and number of channels."""
        self._mixed = channels > MAX_CHANNELS
        channels = 1 if self._mixed else channels
        slow = sample_rate < MIN_RATE
        self._stream = soxr.ResampleStream(sample_rate, 2 * MIN_RATE, channels, "float32") if slow else None
        self._rate = 2 * MIN_RATE if slow else sample_rate
        self._gains = np.array(_SURROUND_GAINS[:channels])
        self._filters = [
            (each.passband_gain * each.b, each.a) for each in pyloudnorm.Meter(self._rate)._filters.values()
        ]
        self._states = [np.zeros((len(a) - 1, channels)) for _, a in self._filters]
        self._weighted = Reel()  # squares of the weighted sound
        self._blocks = array("d")  # mean squares of the gating blocks, channel by channel

    def add(self, block: np.ndarray) -> None:
        """Take the next block [samples, channels]."""
        block = block.mean(axis=1, keepdims=True) if self._mixed else block
        if self._stream is not None:
            block = self._stream.resample_chunk(np.ascontiguousarray(block, np.float32)).reshape(-1, len(self._gains))
        self._weigh(block)

    def lufs(self, gain: float = 1.0) -> float:
        """Return the loudness in LUFS of what came, times a gain; -inf for silence.

        Call `finish` before.
        """
        powers = np.array(self._blocks).reshape(-1, len(self._gains)) * gain**2  # [blocks, channels]
        with np.errstate(all="ignore"):
            loudness = _OFFSET_LUFS + 10 * np.log10(powers @ self._gains)
            loud = loudness >= _ABSOLUTE_LUFS
            if not loud.any():
                return -math.inf
            relative = _OFFSET_LUFS + 10 * np.log10(powers[loud].mean(axis=0) @ self._gains) + _RELATIVE_LU
            loud = (loudness > relative) & (loudness > _ABSOLUTE_LUFS)
            return float(_OFFSET_LUFS + 10 * np.log10(powers[loud].mean(axis=0) @ self._gains))

    def finish(self) -> None:
        """Say that all has come."""
        if self._stream is not None:
            rest = self._stream.resample_chunk(np.zeros((0, len(self._gains)), np.float32), last=True)
            self._weigh(rest.reshape(-1, len(self._gains)))
        end = self._weighted.end
        count = round((end / self._rate - _BLOCK_SECONDS) / (_BLOCK_SECONDS * _BLOCK_STEP)) + 1
        while len(self._blocks) < count * len(self._gains):  # the last one may lack some samples
            self._measure(min(end, self._bounds()[1]))
        del self._blocks[count * len(self._gains) :]

    def _weigh(self, block: np.ndarray) -> None:
        if not len(block):  # an empty block would reset scipy's filters
            return
        weighted = block.astype(np.float64)
        for place, (b, a) in enumerate(self._filters):
            weighted, self._states[place] = signal.lfilter(b, a, weighted, axis=0, zi=self._states[place])
        self._weighted.add(weighted * weighted)
        while self._bounds()[1] <= self._weighted.end:
            self._measure(self._bounds()[1])
        self._weighted.forget(self._bounds()[0])

    def _measure(self, stop: int) -> None:
        squares = self._weighted.piece(self._bounds()[0], stop)
        self._blocks.extend(squares.sum(axis=0) / (_BLOCK_SECONDS * self._rate))

    def _bounds(self) -> tuple[int, int]:
        """Return the samples [start, stop) of the next block."""
        at = len(self._blocks) // len(self._gains) * _BLOCK_STEP
        return int(_BLOCK_SECONDS * at * self._rate), int(_BLOCK_SECONDS * (at + 1) * self._rate)


class RunningDistance:
    """How far a sound is from its source, both as they are written.

    Attributes:
        peak: greatest magnitude of a sample of the result so far.
        source_peak: the same of the source.
    """

    def __init__(self, sample_rate: int, channels: int, *, loudness: bool = True):
        """Begin sounds of that rate, in Hz, and number of channels; loudness is optional."""
        self.peak = self.source_peak = 0.0
        self._signal = self._error = 0.0
        self._meters = [RunningLoudness(sample_rate, channels) for _ in range(3)] if loudness else []

    def add(self, source: np.ndarray, dreamed: np.ndarray) -> None:
        """Take the next blocks [samples, channels] of both."""
        change = dreamed.astype(np.float64) - source
        self._signal += float(np.sum(np.square(source, dtype=np.float64)))
        self._error += float(np.sum(np.square(change)))
        self.peak = max(self.peak, float(np.max(np.abs(dreamed), initial=0.0)))
        self.source_peak = max(self.source_peak, float(np.max(np.abs(source), initial=0.0)))
        for meter, sound in zip(self._meters, (source, dreamed, change), strict=False):
            meter.add(sound)

    def finish(self) -> None:
        """Say that all has come."""
        for meter in self._meters:
            meter.finish()

    @property
    def snr_db(self) -> float:
        """As `augment.sound.distance.snr_db`."""
        if self._error == 0:
            return math.inf
        return 10 * math.log10(self._signal / self._error) if self._signal else -math.inf

    def share(self, budget: Budget) -> float:
        """Return what the change must be scaled by to keep to SNR and loudness, as `Budget.settle` scales it."""
        if not budget.has_loudness:
            return budget.share_of(self.snr_db)
        source, _, change = self._meters
        share = budget.share_of(self.snr_db, budget.ratio_of(source.lufs(), change.lufs()))
        if 0 < share < 1:  # loudness is gated: what is left may weigh more than in proportion
            left = budget.ratio_of(source.lufs(), change.lufs(share))
            share *= budget.share_of(self.snr_db - 20 * math.log10(share), left)
        return share

    def distance(self) -> Distance:
        """Return the distance of all that came."""
        return Distance(self.snr_db, *(meter.lufs() for meter in self._meters), peak=self.peak)
