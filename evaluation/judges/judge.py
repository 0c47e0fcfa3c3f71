"""The interface of judges: what re-classifies the outputs. A judge is never the model that dreamed them.

A judge takes one mono waveform at its own sample rate and returns its scores. `JudgeSpec` names a judge and is what
crosses to a worker; `evaluation.judges.judge_kinds.shared_judge` loads it once for each process.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from augment.models.model_files import ModelError
from augment.targets.classes import ClassList

if TYPE_CHECKING:
    import numpy as np


class JudgeError(ValueError):
    """A judge cannot be used; the message is one line that says what to change."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """A judge's output for one clip.

    Attributes:
        scores: float32 [classes] in [0, 1], the mean over its patches.
        embeddings: float32 [patches, 1024], YAMNet's; None for a judge without them.
    """

    scores: np.ndarray
    embeddings: np.ndarray | None = None


class Judge(Protocol):
    """A classifier of waveforms.

    Attributes:
        name: for reports.
        identity: equal for equal judges: a hash of the weights, where there are some.
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
    """Which judge to load.

    Attributes:
        judge: a judge's name, the path of a model, or ``module:function`` (`evaluation.judges.judge_kinds.JUDGES`).
        classes: file of the class names, in the order of the scores: a CSV as of YAMNet (index, mid, display_name),
            or a text file with one name per line.
        sample_rate: Hz, of the judge's input.
        input: waveform or embeddings; auto decides by the shape of the model's input.
        weights: YAMNet's, None for the usual places.
    """

    judge: str = "yamnet"
    classes: str | None = None
    sample_rate: int | None = None
    input: str = "auto"
    weights: str | None = None


@contextlib.contextmanager
def as_judge() -> Iterator[None]:
    """Turn a `ModelError` into a `JudgeError`."""
    try:
        yield
    except ModelError as error:
        raise JudgeError(re.sub("^model ", "judge ", str(error))) from error
