"""The result of a replay: the audio, and how far it agrees with what the dataset holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

SCORE_TOLERANCE, SNR_TOLERANCE_DB = 0.15, 4.0
"""How far the target's score and the SNR of a dream may differ from its record's where it is made on other arithmetic;
docs/reproducibility.md has what was measured."""


@dataclass(frozen=True)
class Difference:
    """How far a replay is from the audio that the dataset holds."""

    snr_db: float  # 10 log10(sum s^2 / sum (r - s)^2) of the stored samples s and the replayed r; infinite where equal
    peak: float  # greatest difference of two samples, full scale is 1


@dataclass(frozen=True)
class Agreement:
    """A record and its dream as it is made here, on other arithmetic; each a pair (record, here)."""

    score: tuple[float, float]  # of the target's best class after the dream, in [0, 1]
    snr_db: tuple[float, float]  # of the dream against its source
    top: tuple[str, str]  # name of the class with the highest score

    @property
    def holds(self) -> bool:
        """Whether score and SNR are within `SCORE_TOLERANCE` and `SNR_TOLERANCE_DB`."""
        (score, score_here), (snr, snr_here) = self.score, self.snr_db
        near = snr == snr_here or abs(snr - snr_here) <= SNR_TOLERANCE_DB  # infinite where nothing changed
        return near and abs(score - score_here) <= SCORE_TOLERANCE


@dataclass(frozen=True, eq=False)
class Replayed:
    """A record made again."""

    id: str  # of the record
    waveform: np.ndarray  # float32 [samples, channels]
    sample_rate: int  # Hz
    expected_sha256: str  # of the samples as they were dreamed, by the provenance
    found_sha256: str  # of the waveform
    # from the stored samples; None where those are not the ones that were dreamed (a lossy encoding), or not as many
    difference: Difference | None
    differing: Mapping[str, tuple[str, str]]  # versions and processor that have changed since: name to (then, now)
    arithmetic_known: bool  # the record has its arithmetic
    # the record's and this process's, where they differ so that the bits may; None otherwise
    arithmetic: tuple[str, str] | None = None
    agreement: Agreement | None = None  # of the dream with its record, where its bits may differ

    @property
    def exact(self) -> bool:
        """Whether the samples are those that were dreamed, bit for bit."""
        return self.found_sha256 == self.expected_sha256
