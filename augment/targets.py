"""Which class a clip is dreamed toward.

A policy is given the clip's own scores and a draw, and names one class. To add a policy, write the function and list it
in `POLICIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from augment.draws import choose

PREDICTED_SCORE = 0.5
"""A class that scores as much counts as predicted, as does the top class."""

Policy = Callable[[np.ndarray, Sequence[int], int], int]


def keep(scores: np.ndarray, classes: Sequence[int], number: int) -> int:
    """Return the clip's own top class: what the paper does by default."""
    del classes, number
    return int(np.argmax(scores))


def given(scores: np.ndarray, classes: Sequence[int], number: int) -> int:
    """Return the class that the user named."""
    del scores, number
    return classes[0]


def random(scores: np.ndarray, classes: Sequence[int], number: int) -> int:
    """Return a class drawn from the list (all classes if it is empty), never one that the clip is predicted to be.

    Raises:
        ValueError: every class of the list is predicted.
    """
    pool = classes or range(len(scores))
    predicted = {int(np.argmax(scores)), *map(int, np.flatnonzero(scores >= PREDICTED_SCORE))}
    left = [index for index in pool if index not in predicted]
    if not left:
        raise ValueError("every class of the target list is already predicted: name more classes")
    return left[choose(number, len(left))]


POLICIES: dict[str, Policy] = {"keep": keep, "class": given, "random": random}
