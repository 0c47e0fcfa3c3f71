"""Timing: work that is done in rounds, and the figures that come of it.

All work is timed in turn, round by round, so that a machine whose speed drifts still gives honest ratios.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from augment.sound.samples import SAMPLE_RATE

CLIPS, SECONDS, STEPS = 32, 5, 8


@dataclass(frozen=True)
class Row:
    """One figure."""

    part: str  # of the table
    name: str  # what was measured
    figure: float  # how fast
    unit: str  # of the figure
    against: str | None = None  # what it is compared with, None for the first of its kind
    ratio: float | None = None  # how many times as fast as that


@dataclass(frozen=True)
class Work:
    """Something that is timed: `amount` of `unit` each time it is done."""

    part: str
    name: str
    go: Callable[[], Any]
    amount: float
    unit: str
    against: str | None


Say = Callable[[str], Any]
"""Called with what is being measured."""


def timed(work: Sequence[Work], rounds: int, say: Say = lambda _: None) -> list[Row]:
    """Do all of the work in turn, in rounds; return the median figures and ratios."""
    say("warming up")
    for each in work:
        each.go()  # traces and warms up
    times: dict[str, list[float]] = {each.name: [] for each in work}
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        for each in work:
            start = time.perf_counter()
            each.go()
            times[each.name].append(time.perf_counter() - start)
    amounts = {each.name: each.amount for each in work}
    rows = []
    for each in work:
        ratio = None
        if each.against is not None:
            pairs = zip(times[each.against], times[each.name], strict=True)
            ratio = statistics.median(other / own for other, own in pairs) * each.amount / amounts[each.against]
        figure = each.amount / statistics.median(times[each.name])
        rows.append(Row(each.part, each.name, figure, each.unit, each.against, ratio))
    return rows


def noise(count: int) -> list[np.ndarray]:
    """Return clips of white noise at 16 kHz."""
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.1, SECONDS * SAMPLE_RATE).astype(np.float32) for _ in range(count)]


def write_files(folder: Path, count: int, sample_rate: int) -> list[Path]:
    """Write WAV files of noise; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    paths = [folder / f"{number:04}.wav" for number in range(count)]
    for path in paths:
        soundfile.write(path, rng.normal(0, 0.1, SECONDS * sample_rate).clip(-1, 1), sample_rate)
    return paths
