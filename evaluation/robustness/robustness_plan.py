"""What a robustness report tests: its clips, and the plan that workers carry out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from augment.ascent.dreaming import Sound
from augment.sound.resampling import to_model
from evaluation.judges.judge import JudgeSpec


@dataclass(frozen=True)
class Item:
    """One labelled clip, unread, of a file (uri); intervals are drawn over the sources, the reader needs `where`."""

    id: str
    source: str
    uri: str
    labels: tuple[str, ...]
    where: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True)
class RobustnessPlan:
    """How a classifier is tested; it crosses to the workers.

    Attributes:
        judge: the classifier.
        columns: its classes under test, by index. All else counts classes by their position here.
        names: of these classes.
        truths: (label, position) pairs.
        answers: (YAMNet's class, position) pairs: the targets of dreams through YAMNet.
        perturbations: keys of `evaluation.robustness.perturbations.PERTURBATIONS`.
        budgets: SNRs in dB, from the smallest change to the largest.
        steps: of gradient ascent.
        seed: of targets and noise.
    """

    judge: JudgeSpec
    columns: tuple[int, ...]
    names: tuple[str, ...]
    truths: tuple[tuple[str, int], ...]
    answers: tuple[tuple[int, int], ...]
    perturbations: tuple[str, ...]
    budgets: tuple[float, ...]
    steps: int
    seed: int

    @property
    def sounds_per_clip(self) -> int:
        """The clip itself, and each perturbation at each budget."""
        return 1 + len(self.perturbations) * len(self.budgets)

    def truth(self, labels: Sequence[str]) -> tuple[int, ...]:
        """Return the positions of labels, each once, without labels that the classifier has no class for."""
        known = dict(self.truths)
        return tuple(dict.fromkeys(known[label] for label in labels if label in known))


@dataclass(frozen=True, eq=False)
class AttackedClip:
    """A clip of a batch, read, with the positions of its classes and of its target (None if it has all classes)."""

    item: Item
    sound: Sound
    truth: tuple[int, ...]
    target: int | None
    _model_inputs: dict[int, np.ndarray] = field(default_factory=dict, init=False, repr=False)

    def model_input(self, model_rate: int) -> np.ndarray:
        """Return the clip as a model takes it: float32 [samples], mono at the model's rate in Hz."""
        if model_rate == self.sound.model_rate:
            return self.sound.model_input
        if model_rate not in self._model_inputs:
            self._model_inputs[model_rate] = to_model(self.sound.waveform, self.sound.sample_rate, model_rate)
        return self._model_inputs[model_rate]
