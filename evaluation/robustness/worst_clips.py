"""The worst clips of a robustness report, made again for its players.

Rows hold no sound, and the worst clips are known only at the end. A dream depends on its clip alone, so these few are
made again exactly: through the same budgets from the smallest change on, as arrived dreams are scaled up from budget to
budget (`evaluation.robustness.attacks.AttackBatch`). Each result is classified again and compared with its row.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from augment.sound.distance import at_snr
from evaluation.dreams.dream_evaluator import Failed
from evaluation.robustness.attacks import AttackBatch, Changes
from evaluation.robustness.perturbations import PERTURBATIONS
from evaluation.robustness.robustness_plan import AttackedClip, Item, RobustnessPlan
from evaluation.robustness.robustness_worker import ReadItem, RobustnessWorker

SAME = 1e-3
"""Largest difference between scores of the same sound on different machines."""


@dataclass(frozen=True, eq=False)
class Remade:
    """One of the worst clips: its entry in metrics.json, and its sounds, float32 [samples, channels].

    `same` says that its scores equal those of its row.
    """

    entry: Mapping[str, Any]
    before: np.ndarray
    after: np.ndarray
    sample_rate: int
    same: bool


def remake(
    worst: Sequence[Mapping[str, Any]], items: Sequence[Item], plan: RobustnessPlan, read: ReadItem
) -> Iterator[Remade | Failed]:
    """Make the clips of metrics.json's worst[] again, in their order, or give the failure of one that cannot be read.

    The clips of one budget are in memory at a time.
    """
    by_id, worker = {item.id: item for item in items}, RobustnessWorker(plan, read)
    for (name, snr), group in itertools.groupby(worst, key=lambda each: (each["perturbation"], each["snr_db"])):
        entries = list(group)
        clips = [worker.read_clip(by_id[entry["id"]]) for entry in entries]
        changes = iter(_changes(plan, [each for each in clips if isinstance(each, AttackedClip)], name, snr))
        for entry, clip in zip(entries, clips, strict=True):
            yield clip if isinstance(clip, Failed) else _remade(worker, entry, clip, next(changes))


def _changes(plan: RobustnessPlan, clips: Sequence[AttackedClip], name: str, snr_db: float) -> Changes:
    batch, found = AttackBatch(plan, clips), []
    for budget in plan.budgets:
        if budget >= snr_db:
            found = PERTURBATIONS[name].change(batch, budget)
    return found


def _remade(
    worker: RobustnessWorker, entry: Mapping[str, Any], clip: AttackedClip, change: np.ndarray | None
) -> Remade:
    sound = clip.sound
    after = sound.waveform if change is None else at_snr(sound.waveform, change, entry["snr_db"])
    scores = worker.classify(after, sound.sample_rate)
    own = max(float(scores[position]) for position in clip.truth)
    same = worker.plan.names[int(np.argmax(scores))] == entry["predicted"] and abs(own - entry["score_after"]) < SAME
    return Remade(entry, sound.waveform, after, sound.sample_rate, same)
