"""What one worker does for a robustness report: reads a batch of clips, perturbs them, and classifies the results.

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
from evaluation.dreams.dream_evaluator import Failed
from evaluation.dreams.originals import MissingSourceError
from evaluation.judges.judge import Judge
from evaluation.judges.judge_kinds import shared_judge
from evaluation.robustness.attacks import AttackBatch
from evaluation.robustness.perturbations import find_perturbation
from evaluation.robustness.robustness_curves import CLEAN
from evaluation.robustness.robustness_plan import AttackedClip, Item, RobustnessPlan

ReadItem = Callable[[Mapping[str, Any]], tuple[np.ndarray, int]]
"""Reads a clip by its item's ``where``: float32 [samples, channels], and its Hz; raises `MissingSourceError`."""


@dataclass
class RobustnessWorker:
    """Tests a classifier on batches of clips by a plan."""

    plan: RobustnessPlan
    read: ReadItem
    _judge: Judge = field(init=False)

    def __post_init__(self) -> None:
        self._judge = shared_judge(self.plan.judge)

    def size(self, element: Sequence[Item]) -> int:
        """Return the number of sounds of a batch."""
        return len(element) * self.plan.sounds_per_clip

    def run(self, element: Sequence[Item]) -> Iterator[dict[str, Any] | Failed]:
        """Give the rows of a batch, and the clips that could not be used."""
        clips = []
        for item in element:
            clip = self.read_clip(item)
            if isinstance(clip, Failed):
                yield clip
            else:
                clips.append(clip)
        for clip in clips:
            yield self._row(clip, CLEAN, None, clip.sound.waveform)
        batch = AttackBatch(self.plan, clips)
        for snr in self.plan.budgets:
            for name in self.plan.perturbations:
                for clip, change in zip(clips, find_perturbation(name).change(batch, snr), strict=True):
                    if change is not None:
                        yield self._row(clip, name, snr, at_snr(clip.sound.waveform, change, snr))

    def read_clip(self, item: Item) -> AttackedClip | Failed:
        """Read one clip, and draw its target."""
        try:
            sound = Sound(*self.read(item.where))
        except MissingSourceError as error:
            return Failed(item.id, "read", str(error))
        if not sound.waveform.any():
            return Failed(item.id, "read", f"{item.id!r} is silent: no SNR can be set; leave it out")
        truth = self.plan.truth(item.labels)
        left = [position for position in range(len(self.plan.columns)) if position not in truth]
        number = draws.draw(self.plan.seed, item.id, 0, "target")
        return AttackedClip(item, sound, truth, left[draws.choose(number, len(left))] if left else None)

    def classify(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        """Return the classifier's scores of a sound, float32 [classes under test]."""
        model_input = to_model(waveform, sample_rate, self._judge.sample_rate)
        return self._judge.judge(model_input).scores[list(self.plan.columns)]

    def _row(self, clip: AttackedClip, name: str, snr: float | None, written: np.ndarray) -> dict[str, Any]:
        scores = self.classify(written, clip.sound.sample_rate)
        predicted = int(np.argmax(scores))
        target = clip.target if name != CLEAN and find_perturbation(name).targeted else None
        measured = None if snr is None else measure_snr(clip.sound.waveform, written)
        return {
            "id": clip.item.id,
            "source": clip.item.source,
            "uri": clip.item.uri,
            "labels": list(clip.item.labels),
            "truth": list(clip.truth),
            "perturbation": name,
            "snr_db": snr,
            "measured_snr_db": measured if measured is None or np.isfinite(measured) else None,
            "predicted": predicted,
            "correct": predicted in clip.truth,
            "target": target,
            "reached": None if target is None else predicted == target,
            "scores": scores.tolist(),
        }
