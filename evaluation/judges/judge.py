"""The interface of judges: what scores the outputs. A judge is never the model that dreamed them.

A judge takes one mono waveform at its own sample rate and gives its scores. `JudgeSpec` says which is wanted, and is
what crosses to a worker; `evaluation.judges.judge_kinds.shared_judge` loads it, once for a process.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from augment.models.model_files import ModelError
from augment.targets.classes import ClassList


class JudgeError(ValueError):
    """A judge cannot be used; the message is one line that says what to change."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """What a judge says of one clip.

    Attributes:
        scores: float32 [classes] in [0, 1], the mean over its patches.
        embeddings: float32 [patches, 1024], YAMNet's; None of a judge that has none.
    """

    scores: np.ndarray
    embeddings: np.ndarray | None = None


class Judge(Protocol):
    """What scores waveforms.

    Attributes:
        name: for reports.
        identity: tells whether two judges are the same: a hash of the weights, where there are some.
        classes: in the order of the scores.
        sample_rate: Hz, of the waveforms that it takes.
    """

    name: str
    identity: str
    classes: ClassList
    sample_rate: int

    def judge(self, waveform: np.ndarray) -> Judgement:
        """Score a mono waveform, float32 [samples] at the judge's sample rate."""
        ...


@dataclass(frozen=True)
class JudgeSpec:
    """Which judge is wanted.

    Attributes:
        judge: a key of `JUDGES` that needs no more, a path of a SavedModel or Keras model, or ``module:function``.
        classes: file of the classes' names, in the order of the scores: a CSV as of YAMNet (index, mid, display_name),
            or a text file with a name in each line.
        sample_rate: Hz, of what the judge takes.
        input: waveform or embeddings; auto tells by the shape of the model's input.
        weights: YAMNet's, None for the usual places.
    """

    judge: str = "yamnet"
    classes: str | None = None
    sample_rate: int | None = None
    input: str = "auto"
    weights: str | None = None


@contextlib.contextmanager
def as_judge() -> Iterator[None]:
    """Say what is wrong with a model of a judge that cannot be used."""
    try:
        yield
    except ModelError as error:
        raise JudgeError(re.sub("^model ", "judge ", str(error))) from error
