"""The tested classifier as a model to dream through, with its own gradients.

A judge returns scores and no gradient. For YAMNet, a head on it, the `crnn`, and any SavedModel or Keras model, the
same weights make a differentiable model (`augment.models.model_kinds`); a Python function has no gradient. Only the
dreams use this model: the report's scores always come from the judge, which is separate code.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from augment.models.heads import Choice, EmbeddingModel, HeadModel, load_head
from augment.models.interface import ModelSpec
from augment.models.model_kinds import load_model
from augment.models.waveform_model import WaveformModel
from augment.models.yamnet import DreamingModel, load_dreaming_model
from evaluation.judges.judge import JudgeError, JudgeSpec, as_judge
from evaluation.judges.judge_kinds import judge_kind

Dreamable = HeadModel | Choice | EmbeddingModel | WaveformModel
"""Models to dream through, each with the `objective` that matches its decision."""


def why_not_through(spec: JudgeSpec) -> str | None:
    """Return the reason why a classifier cannot be dreamed through, None if it can.

    Raises:
        WeightsError: its weights cannot be found.
    """
    if judge_kind(spec.judge) in ("yamnet", "head"):
        return None
    try:
        _own_model(spec)
    except JudgeError as error:
        return str(error)
    return None


def white_box(spec: JudgeSpec, columns: Sequence[int]) -> Dreamable:
    """Return the differentiable model of a classifier; of YAMNet or a head, with some classes (columns) only.

    Raises:
        JudgeError: it cannot be dreamed through; the message gives the reason.
        WeightsError: its weights cannot be found.
    """
    kind = judge_kind(spec.judge)
    if kind == "yamnet":
        return Choice(dreaming_yamnet(spec.weights), columns)
    if kind == "head":
        head = load_head(spec.judge)
        names = tuple(head.names[index] for index in columns)
        own = type(head)(head.kernel[:, list(columns)], head.bias[list(columns)], names)
        return HeadModel(dreaming_yamnet(spec.weights), own)
    return _own_model(spec)


@functools.lru_cache(maxsize=1)
def dreaming_yamnet(weights: str | None) -> DreamingModel:
    """Load YAMNet for dreaming, once for the whole process.

    Raises:
        WeightsError: its weights cannot be found.
    """
    return load_dreaming_model(weights)


def forget_models() -> None:
    """Load models anew from now on, because a file has changed."""
    _own_model.cache_clear()


@functools.lru_cache(maxsize=1)
def _own_model(spec: JudgeSpec) -> EmbeddingModel | WaveformModel:
    if judge_kind(spec.judge) == "callable":
        raise JudgeError(f"judge {spec.judge!r} is a function, which has no gradient")
    wanted = ModelSpec(spec.judge, spec.classes, spec.sample_rate, input=spec.input)
    with as_judge():
        model = load_model(wanted, lambda: dreaming_yamnet(spec.weights))
    if isinstance(model, WaveformModel):
        return model.unpadded()
    assert isinstance(model, EmbeddingModel)
    return model
