"""What one worker does for a robustness report: reads a batch of clips, perturbs them, and has the classifier hear all.

No Beam here. `RobustnessWorker.run` takes the items of one batch and gives the rows of
`evaluation.robustness.robustness_curves.ROWS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from augment.ascent.dreaming import Sound
from augment.determinism import draws
from augment.sound.distance import at_snr
from augment.sound.distance import snr_db as measure_snr
from augment.sound.resampling import to_model
from evaluation.dreams.dream_evaluator import Failed, Row
from evaluation.dreams.originals import MissingSourceError
from evaluation.judges.judge import Judge
from evaluation.judges.judge_kinds import shared_judge
from evaluation.robustness.attacks import Bench, Item, Subject, Trial
from evaluation.robustness.perturbations import PERTURBATIONS
from evaluation.robustness.robustness_curves import CLEAN

ReadItem = Callable[[Mapping[str, Any]], tuple[np.ndarray, int]]
"""Reads a clip by its item's ``where``: float32 [samples, channels], and its Hz; raises `MissingSourceError`."""


@dataclass
class RobustnessWorker:
    """Tries a classifier on batches of clips.

    Attributes:
        trial: what is tried.
        read: reads the clips.
    """

    trial: Trial
    read: ReadItem
    _judge: Judge = field(init=False)

    def __post_init__(self) -> None:
        self._judge = shared_judge(self.trial.judge)

    def run(self, items: Sequence[Item]) -> Iterator[Row | Failed]:
        """Give the rows of a batch, and what could not be used of it."""
        subjects = []
        for item in items:
            read = self.subject(item)
            if isinstance(read, Failed):
                yield read
            else:
                subjects.append(read)
        for subject in subjects:
            yield self._row(subject, CLEAN, None, subject.sound.waveform)
        bench = Bench(self.trial, subjects)
        for snr in self.trial.budgets:
            for name in self.trial.perturbations:
                for subject, change in zip(subjects, PERTURBATIONS[name].change(bench, snr), strict=True):
                    if change is not None:
                        yield self._row(subject, name, snr, at_snr(subject.sound.waveform, change, snr))

    def subject(self, item: Item) -> Subject | Failed:
        """Read one clip."""
        try:
            sound = Sound(*self.read(item.where))
        except MissingSourceError as error:
            return Failed(item.id, "read", str(error))
        if not sound.waveform.any():
            return Failed(item.id, "read", f"{item.id!r} is silent: no SNR can be set; leave it out")
        truth = self.trial.truth(item.labels)
        left = [position for position in range(len(self.trial.columns)) if position not in truth]
        number = draws.draw(self.trial.seed, item.id, 0, "target")
        return Subject(item, sound, truth, left[draws.choose(number, len(left))] if left else None)

    def hear(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        """Return the classifier's scores of a sound, float32 [classes under test]."""
        heard = to_model(waveform, sample_rate, self._judge.sample_rate)
        return self._judge.judge(heard).scores[list(self.trial.columns)]

    def _row(self, subject: Subject, name: str, snr: float | None, written: np.ndarray) -> Row:
        scores = self.hear(written, subject.sound.sample_rate)
        predicted = int(np.argmax(scores))
        target = subject.target if name in PERTURBATIONS and PERTURBATIONS[name].targeted else None
        measured = None if snr is None else measure_snr(subject.sound.waveform, written)
        return Row(
            {
                "id": subject.item.id,
                "source": subject.item.source,
                "uri": subject.item.uri,
                "labels": list(subject.item.labels),
                "truth": list(subject.truth),
                "perturbation": name,
                "snr_db": snr,
                "measured_snr_db": measured if measured is None or np.isfinite(measured) else None,
                "predicted": predicted,
                "correct": predicted in subject.truth,
                "target": target,
                "reached": None if target is None else predicted == target,
                "scores": scores.tolist(),
            }
        )
