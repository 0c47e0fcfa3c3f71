"""Judges: what scores the outputs. A judge is never the model that dreamed them.

A judge takes one mono waveform at its own sample rate and gives its scores. `YamnetGraph` is the TF-Hub graph as
Google published it, untouched: the same weights as the dreaming model, through other code. The others are in
`evaluation.crnn` and `evaluation.models`. `JUDGES` lists the kinds; `JudgeSpec` says which is wanted, and is what
crosses to a worker; `shared_judge` loads it, once for a process.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from augment import weights
from augment.classes import ClassList, yamnet_classes
from augment.loading import ModelError, file_kind
from augment.models import INPUTS, RATES
from augment.yamnet import SAMPLE_RATE


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


class YamnetGraph:
    """The TF-Hub graph of YAMNet, clip by clip.

    Attributes:
        classes: the 521 classes, in the order of the scores.
        sample_rate: Hz, of the waveforms that it takes.
        name: yamnet.
        identity: sha256 of its weights.
    """

    classes: ClassList
    sample_rate = SAMPLE_RATE
    name = "yamnet"

    def __init__(self, path: str | os.PathLike[str] | None = None):
        """Load the graph.

        Args:
            path: a SavedModel folder or TF-Hub handle; None looks in the usual places (`augment.weights`).

        Raises:
            WeightsError: there is no graph.
        """
        found = weights.resolve_weights(path)
        self._graph = weights.load_graph(found)
        self.identity = weights.identity(weights.load_variables(found))
        self.classes = yamnet_classes()

    def judge(self, waveform: np.ndarray) -> Judgement:
        """Score a waveform, float32 [samples] at 16 kHz."""
        scores, embeddings, _ = self._graph(np.asarray(waveform, np.float32))
        return Judgement(scores.numpy().mean(axis=0), embeddings.numpy())


def make_judge(spec: JudgeSpec) -> Judge:
    """Load a judge.

    Raises:
        JudgeError: there is no such judge, or it is not what the specification says.
        WeightsError: YAMNet's weights, or the wheel with the crnn, are not to be had.
    """
    if spec.input not in INPUTS:
        raise JudgeError(f"a judge hears {' or '.join(INPUTS)}, not {spec.input!r}")
    if spec.sample_rate is not None and not RATES[0] <= spec.sample_rate <= RATES[1]:
        raise JudgeError(f"a judge's sample rate is {RATES[0]} to {RATES[1]} Hz, not {spec.sample_rate}")
    return JUDGES[judge_kind(spec.judge)](spec)


def judge_kind(judge: str) -> str:
    """Return the key of `JUDGES` that a judge's name, path or function means.

    Raises:
        JudgeError: it means none.
    """
    if judge in ("yamnet", "crnn"):
        return judge
    path = Path(judge)
    if kind := file_kind(path):
        return kind
    if not path.exists() and re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", judge):
        return "callable"
    what = "is no model" if path.exists() else "is not there"
    raise JudgeError(
        f"judge {judge!r} {what}: expected yamnet, crnn, the folder of a SavedModel, a .keras or .h5 file, a head.npz, "
        "or module:function"
    )


@contextlib.contextmanager
def as_judge() -> Iterator[None]:
    """Say what is wrong with a model of a judge that cannot be used."""
    try:
        yield
    except ModelError as error:
        raise JudgeError(re.sub("^model ", "judge ", str(error))) from error


_loading = threading.Lock()


def shared_judge(spec: JudgeSpec) -> Judge:
    """Load a judge once for the whole process, however many threads ask."""
    with _loading:
        return _load(spec)


def yamnet_beside(spec: JudgeSpec) -> Judge:
    """Return YamnetGraph for a judge that takes its embeddings: the one that the process has, if it has one."""
    return _load(JudgeSpec(weights=spec.weights))


def forget_judges() -> None:
    """Load judges anew from now on: a file has changed."""
    _load.cache_clear()


@functools.lru_cache(maxsize=2)  # the judge, and YAMNet beside another one
def _load(spec: JudgeSpec) -> Judge:
    return make_judge(spec)


def _yamnet(spec: JudgeSpec) -> Judge:
    _refuse_settings(spec, SAMPLE_RATE)
    return YamnetGraph(spec.weights)


def _crnn(spec: JudgeSpec) -> Judge:
    from evaluation.crnn import Crnn

    _refuse_settings(spec, Crnn.sample_rate)
    return Crnn()


def _head(spec: JudgeSpec) -> Judge:
    from evaluation.heads import load_head_judge

    _refuse_settings(spec, SAMPLE_RATE)
    return load_head_judge(spec)


def _savedmodel(spec: JudgeSpec) -> Judge:
    from evaluation.models import load_savedmodel

    return load_savedmodel(spec)


def _keras(spec: JudgeSpec) -> Judge:
    from evaluation.models import load_keras

    return load_keras(spec)


def _callable(spec: JudgeSpec) -> Judge:
    from evaluation.models import load_callable

    return load_callable(spec)


def _refuse_settings(spec: JudgeSpec, sample_rate: int) -> None:
    if spec.sample_rate not in (None, sample_rate):
        raise JudgeError(f"judge {spec.judge} hears {sample_rate} Hz, not {spec.sample_rate}: leave out --sample-rate")
    if spec.classes is not None:
        raise JudgeError(f"judge {spec.judge} has its own classes: leave out --classes")


JUDGES: dict[str, Callable[[JudgeSpec], Judge]] = {
    "yamnet": _yamnet,
    "crnn": _crnn,
    "head": _head,
    "savedmodel": _savedmodel,
    "keras": _keras,
    "callable": _callable,
}
"""The kinds of judges."""
