"""The worst clips of a robustness report, made again to be heard.

Rows hold no sound, and which clips are the worst is known at the end only. A dream depends on its clip alone, so that
the few that are wanted are made again as they were: through the same budgets from the smallest change on, as dreams
that have arrived are turned up to the next (`evaluation.robustness.attacks.Bench`). What comes out is heard anew and
compared with its row.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from augment.sound.distance import at_snr
from evaluation.dreams.dream_evaluator import Failed
from evaluation.robustness.attacks import Bench, Item, Subject, Trial
from evaluation.robustness.perturbations import PERTURBATIONS
from evaluation.robustness.robustness_worker import ReadItem, RobustnessWorker

SAME = 1e-3
"""Scores that differ by no more are those of the same sound, on any machine."""


@dataclass(frozen=True, eq=False)
class Remade:
    """One of the worst clips.

    Attributes:
        told: of metrics.json's worst[].
        before: float32 [samples, channels], as it came.
        after: likewise, at its budget.
        sample_rate: Hz.
        same: the classifier hears in it what its row says.
    """

    told: Mapping[str, Any]
    before: np.ndarray
    after: np.ndarray
    sample_rate: int
    same: bool


def remake(
    worst: Sequence[Mapping[str, Any]], items: Sequence[Item], trial: Trial, read: ReadItem
) -> Iterator[Remade | Failed]:
    """Make clips again, in the order given: from the smallest change on.

    Args:
        worst: of metrics.json.
        items: the clips, those of `worst` among them.
        trial: what was tried.
        read: reads clips.

    Yields:
        For each the sounds, or why they cannot be had; those of one budget are held at a time.
    """
    by_id, worker = {item.id: item for item in items}, RobustnessWorker(trial, read)
    for (name, snr), group in itertools.groupby(worst, key=lambda each: (each["perturbation"], each["snr_db"])):
        told = list(group)
        subjects = [worker.subject(by_id[each["id"]]) for each in told]
        changes = iter(_changes(trial, [each for each in subjects if isinstance(each, Subject)], name, snr))
        for each, subject in zip(told, subjects, strict=True):
            if isinstance(subject, Failed):
                yield subject
            else:
                yield _remade(worker, each, subject, next(changes))


def _changes(trial: Trial, subjects: Sequence[Subject], name: str, snr_db: float) -> list[np.ndarray | None]:
    bench, change = Bench(trial, subjects), PERTURBATIONS[name].change
    found: list[np.ndarray | None] = []
    for budget in trial.budgets:
        if budget >= snr_db:
            found = change(bench, budget)
    return found


def _remade(worker: RobustnessWorker, told: Mapping[str, Any], subject: Subject, change: np.ndarray | None) -> Remade:
    sound = subject.sound
    after = sound.waveform if change is None else at_snr(sound.waveform, change, told["snr_db"])
    scores = worker.hear(after, sound.sample_rate)
    own = max(float(scores[position]) for position in subject.truth)
    same = worker.trial.names[int(np.argmax(scores))] == told["predicted"] and abs(own - told["score_after"]) < SAME
    return Remade(told, sound.waveform, after, sound.sample_rate, same)
