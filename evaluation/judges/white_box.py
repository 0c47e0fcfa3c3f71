"""The classifier that is tried, as a model to dream through: the one whose gradients are its own.

A judge tells what it hears and no gradient. Of YAMNet, a head on it, the `crnn` and any SavedModel or Keras model the
same weights make a model to dream through (`augment.models.model_kinds`), unless nothing differentiable leads from the
waveform to the scores; of a function nothing is known. What such a model says is believed by the dreams alone: the
report goes by the judge, which hears by code of its own.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from augment.models.heads import Choice, EmbeddingModel, HeadModel
from augment.models.interface import ModelSpec
from augment.models.model_kinds import load_model
from augment.models.waveform_model import WaveformModel
from augment.models.yamnet import DreamingModel, load_dreaming_model
from evaluation.judges.head_judge import load_head
from evaluation.judges.judge import JudgeError, JudgeSpec, as_judge
from evaluation.judges.judge_kinds import judge_kind

Dreamable = HeadModel | Choice | EmbeddingModel | WaveformModel
"""Models to dream through that know by which `objective` they decide."""

ALWAYS = ("yamnet", "head")
"""Kinds of judges that can be dreamed through, whichever they are."""


def why_not_through(spec: JudgeSpec) -> str | None:
    """Tell why a classifier cannot be dreamed through, None if it can.

    Raises:
        WeightsError: what it is made of is not to be had.
    """
    if judge_kind(spec.judge) in ALWAYS:
        return None
    try:
        _own_model(spec)
    except JudgeError as error:
        return str(error)
    return None


def white_box(spec: JudgeSpec, columns: Sequence[int]) -> Dreamable:
    """Return the model whose gradients are the classifier's own.

    Args:
        spec: the classifier.
        columns: its classes that are under test, by index; all of them where it is neither YAMNet nor a head.

    Raises:
        JudgeError: it cannot be dreamed through; the message says why.
        WeightsError: what it is made of is not to be had.
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
        WeightsError: its weights are not to be had.
    """
    return load_dreaming_model(weights)


def forget_models() -> None:
    """Load models anew from now on: a file has changed."""
    _own_model.cache_clear()


@functools.lru_cache(maxsize=1)
def _own_model(spec: JudgeSpec) -> EmbeddingModel | WaveformModel:
    if judge_kind(spec.judge) == "callable":
        raise JudgeError(f"judge {spec.judge!r} is a function, and nothing tells its gradient")
    wanted = ModelSpec(spec.judge, spec.classes, spec.sample_rate, input=spec.input)
    with as_judge():
        model = load_model(wanted, lambda: dreaming_yamnet(spec.weights))
    if isinstance(model, WaveformModel):
        return model.unpadded()
    assert isinstance(model, EmbeddingModel)
    return model
