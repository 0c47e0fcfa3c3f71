"""Several models dreamed through at once: a change that fools several is likelier to fool one that was not asked.

`Ensemble` is an `augment.models.interface.AudioModel` whose classes are those that all its members have, by name. Its
objective is the mean of the members' objectives, each over all the classes of its own; a dream leads where it leads in
every member, and has arrived where every member's own scores say so. Its scores are the members' mean.

Source: attacking an ensemble for transfer, Liu et al. 2017, "Delving into transferable adversarial examples and
black-box attacks", section 5 (there a sum of probabilities, here of objectives).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from augment.models.interface import AudioModel
from augment.models.model_files import LOGITS, SCORES, ModelError, digest
from augment.targets import text_match
from augment.targets.classes import AudioClass, ClassList
from augment.targets.policies import Aim


@dataclass(frozen=True, eq=False)
class Member:
    """A model with the classes of an ensemble.

    Attributes:
        model: as it is by itself.
        columns: its class for each of the ensemble's, by index.
    """

    model: AudioModel
    columns: tuple[int, ...]

    def aims(self, rows: tf.Tensor) -> tf.Tensor:
        """Turn rows of aims [batch, classes of the ensemble] into the member's own."""
        return tf.matmul(rows, tf.one_hot(self.columns, len(self.model.classes)))

    def aim(self, aim: Aim) -> Aim:
        """Turn an aim into the member's own."""
        return Aim(tuple(self.columns[index] for index in aim.classes), aim.away)

    def padded(self, waveforms: tf.Tensor, length: Any) -> tf.Tensor:
        """Pad waveforms [batch, samples] to the member's padded length."""
        return tf.pad(waveforms, [[0, 0], [0, length - tf.shape(waveforms)[1]]])


class Ensemble:
    """Models of one sample rate as one."""

    link = "sigmoid"
    layers = (LOGITS, SCORES)

    def __init__(self, models: Sequence[AudioModel]):
        """Find the classes that they share, in the order of the first.

        Raises:
            ModelError: they take different sample rates, or share no class.
        """
        rates = {model.sample_rate for model in models}
        self.name = "+".join(model.name for model in models)
        if len(rates) != 1:
            rates_text = ", ".join(f"{model.name} {model.sample_rate} Hz" for model in models)
            raise ModelError(f"the models of an ensemble must take one sample rate, not {rates_text}")
        (self.sample_rate,) = rates
        first, found = models[0].classes, []
        for item in first:
            columns = [_column(model.classes, item) for model in models]
            if None not in columns:
                found.append((item, columns))
        if not found:
            raise ModelError(f"the models {self.name} have no class in common by name: correct their class lists")
        self.classes = ClassList(tuple(AudioClass(at, item.mid, item.name) for at, (item, _) in enumerate(found)))
        self.members = tuple(
            Member(model, tuple(columns[place] for _, columns in found)) for place, model in enumerate(models)
        )
        self.identity = digest("ensemble", *(model.identity for model in models))

    def patch_count(self, samples: Any) -> Any:
        """Return 1 for each clip: the members part it for themselves."""
        return np.ones_like(np.asarray(samples))

    def padded_length(self, samples: int) -> int:
        """Return the longest of the members' padded lengths."""
        return max(member.model.padded_length(samples) for member in self.members)

    def batch_limit(self, samples: int) -> int:
        """Return how many clips of a padded length fit into memory, with every member's activations."""
        limits = [member.model.batch_limit(member.model.padded_length(samples)) for member in self.members]
        return max(1, min(limits) // len(limits))

    def activations(self, waveforms: tf.Tensor, layers: Collection[str]) -> dict[str, tf.Tensor]:
        """Refuse: members part a clip into different patches (`augment.ascent.loop` asks the members themselves)."""
        raise ValueError(f"the ensemble {self.name} has no layers of its own: ask its members")

    def scores(self, waveforms: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return the mean of the members' scores, float32 [batch, classes]."""
        found = [
            own[:, list(member.columns)]
            for member, own in zip(self.members, self._own(waveforms, lengths), strict=True)
        ]
        return np.asarray(np.mean(found, axis=0, dtype=np.float64), np.float32)

    def clip_scores(self, waveform: np.ndarray) -> np.ndarray:
        """Return the mean of the members' scores of one clip of any length."""
        found = [member.model.clip_scores(waveform)[list(member.columns)] for member in self.members]
        return np.asarray(np.mean(found, axis=0, dtype=np.float64), np.float32)

    def arrived(self, waveforms: np.ndarray, lengths: np.ndarray, aims: Sequence[Aim]) -> list[bool]:
        """Return for each clip whether every member by itself has reached the aim."""
        own = self._own(waveforms, lengths)
        return [
            all(member.aim(aim).reached(scores[row]) for member, scores in zip(self.members, own, strict=True))
            for row, aim in enumerate(aims)
        ]

    def _own(self, waveforms: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
        given, found = tf.constant(waveforms), []
        for member in self.members:
            padded = member.padded(given, member.model.padded_length(waveforms.shape[1]))
            found.append(member.model.scores(padded.numpy(), lengths))
        return found


def arrived(
    model: AudioModel, waveforms: np.ndarray, lengths: np.ndarray, aims: Sequence[Aim], scores: np.ndarray
) -> list[bool]:
    """Return for each clip whether a model has reached the aim.

    Args:
        model: any.
        waveforms: float32 [batch, samples], padded.
        lengths: int [batch].
        aims: [batch].
        scores: float32 [batch, classes], the model's own of the waveforms.
    """
    if isinstance(model, Ensemble):
        return model.arrived(waveforms, lengths, aims)
    return [aim.reached(row) for aim, row in zip(aims, scores, strict=True)]


def members_of(model: AudioModel) -> tuple[Member, ...]:
    """Return the members of an ensemble; of any other model, itself."""
    if isinstance(model, Ensemble):
        return model.members
    return (Member(model, tuple(range(len(model.classes)))),)


def _column(classes: ClassList, item: AudioClass) -> int | None:
    """Return the class of the same name, or else of the same MID, or of the same words; None if there is none."""
    if item.name in classes.names:
        return classes.names.index(item.name)
    for is_same in (
        lambda other: bool(item.mid) and other.mid == item.mid,
        lambda other: text_match.same(item.name.replace("_", " "), other.name.replace("_", " ")),
    ):
        if found := [other.index for other in classes if is_same(other)]:
            return found[0] if len(found) == 1 else None
    return None
