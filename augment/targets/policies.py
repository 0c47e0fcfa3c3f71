"""Target policies: what a clip is dreamed toward, or away from.

A policy takes what is known of the clip and a draw, and returns an `Aim`. To add one, write the function here and list
it in `POLICIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from augment.determinism.draws import choose

PREDICTED_SCORE = 0.5
"""A class that scores as much counts as predicted, as does the top class."""

AWAY_RANK = 5
"""A dream away from a class has arrived when this many others score more: it has left the top five."""


class TargetError(ValueError):
    """A policy finds no target for a clip; the message says what to change."""


@dataclass(frozen=True)
class Aim:
    """The classes that a clip is dreamed toward, which count as one target, or away from.

    Attributes:
        classes: indices, at least one; the first stands for all of them where one has to.
        away: from them, not toward them.
    """

    classes: tuple[int, ...]
    away: bool = False

    def row(self, class_count: int) -> np.ndarray:
        """Return the aim as `augment.ascent.objectives` takes it: float32 [classes], 1 toward, -1 away, 0 elsewhere."""
        row = np.zeros(class_count, np.float32)
        row[list(self.classes)] = -1 if self.away else 1
        return row

    def rank(self, scores: np.ndarray) -> int:
        """Return the rank of the best of the aim's classes among all scores [classes]; 1 is the top."""
        return int(np.sum(scores > scores[list(self.classes)].max())) + 1

    def reached(self, scores: np.ndarray) -> bool:
        """Return whether scores [classes] are what was aimed at: the top class, or out of the top five.

        Of five classes or fewer, the last is out.
        """
        return (
            self.rank(scores) > min(AWAY_RANK, len(scores) - 1) if self.away else int(np.argmax(scores)) in self.classes
        )


def aim_rows(aims: Sequence[Aim], class_count: int) -> np.ndarray:
    """Stack aims as float32 [batch, classes]."""
    return np.stack([aim.row(class_count) for aim in aims])


@dataclass(frozen=True)
class Situation:
    """What a policy knows.

    Attributes:
        scores: float32 [classes], the clip's own.
        classes: those that the user named; empty means all of them where a policy chooses.
        number: the draw.
        label: the class that the clip's label maps to, None if it maps to none.
        sound: the class of the target sound, None if there is none.
    """

    scores: np.ndarray
    classes: Sequence[int] = ()
    number: int = 0
    label: int | None = None
    sound: int | None = None


Policy = Callable[[Situation], Aim]


def keep(known: Situation) -> Aim:
    """Aim at the clip's own top class: what the paper does by default."""
    return Aim((int(np.argmax(known.scores)),))


def given(known: Situation) -> Aim:
    """Aim at the class that the user named, or at several as one target."""
    return Aim(tuple(known.classes))


def random(known: Situation) -> Aim:
    """Aim at a class drawn from the list, never one that the clip is predicted to be.

    Raises:
        TargetError: every class of the list is predicted.
    """
    left = _unpredicted(known)
    return Aim((left[choose(known.number, len(left))],))


def nearest(known: Situation) -> Aim:
    """Aim at the class of the list that scores highest of those that the clip is not predicted to be.

    Raises:
        TargetError: every class of the list is predicted.
    """
    return Aim((max(_unpredicted(known), key=lambda index: known.scores[index]),))


def farthest(known: Situation) -> Aim:
    """Aim at the class of the list that scores lowest.

    Raises:
        TargetError: every class of the list is predicted.
    """
    return Aim((min(_unpredicted(known), key=lambda index: known.scores[index]),))


def label(known: Situation) -> Aim:
    """Aim at the class that the clip's label maps to.

    Raises:
        TargetError: it maps to none.
    """
    if known.label is None:
        raise TargetError("the clip's label names no class: map it with target.labels, such as {dog_bark: Bark}")
    return Aim((known.label,))


def sound(known: Situation) -> Aim:
    """Aim at the top class of the target sound, as in the paper.

    Raises:
        TargetError: there is no target sound.
    """
    if known.sound is None:
        raise TargetError("there is no target sound: give --sound FILE or set recipe.sound")
    return Aim((known.sound,))


def away(known: Situation) -> Aim:
    """Aim away from the clip's own top class, or from the classes that the user named."""
    return Aim(tuple(known.classes) or (int(np.argmax(known.scores)),), away=True)


POLICIES: dict[str, Policy] = {
    "keep": keep,
    "class": given,
    "random": random,
    "nearest": nearest,
    "farthest": farthest,
    "label": label,
    "sound": sound,
    "away": away,
}


def split_target(target: str | int) -> tuple[str, list[str | int]]:
    """Split a target as a user writes it into a policy and what it names.

    "random" is a policy, "random:Animal/*" one with a branch to choose from; all else names a class.
    """
    policy, colon, rest = str(target).partition(":")
    if policy not in POLICIES or policy == "class" or (colon and policy in ("keep", "label", "sound")):
        return "class", [target]
    return policy, [rest] if colon else []


def _unpredicted(known: Situation) -> list[int]:
    scores = known.scores
    predicted = {int(np.argmax(scores)), *map(int, np.flatnonzero(scores >= PREDICTED_SCORE))}
    left = [index for index in (known.classes or range(len(scores))) if index not in predicted]
    if not left:
        raise TargetError("every class of the target list is already predicted: name more classes")
    return left
