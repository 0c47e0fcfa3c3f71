"""Judges of one's own: a SavedModel, a Keras model, or a Python function.

A model takes waveforms (float32 [samples], [batch, samples] or [batch, samples, 1] at its sample rate) or YAMNet's
embeddings (float32 [batch, 1024] or [batch, patches, 1024]). A last axis of 1024 means embeddings, unless
`JudgeSpec.input` says otherwise. The last axis of its output has one score for each class; other axes are averaged. A
model with a fixed number of samples scores a clip in windows of that length, the last padded with zeros.

Scores are probabilities in [0, 1]: a model that returns logits needs its sigmoid or softmax first.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from augment.models import model_files
from augment.models.heads import EMBEDDING
from augment.models.model_files import SCORES, Loaded, files_digest, first_line, named_classes, read_classes
from augment.sound.samples import SAMPLE_RATE
from augment.targets.classes import ClassList
from evaluation.judges.judge import Judge, JudgeError, Judgement, JudgeSpec, as_judge
from evaluation.judges.yamnet_graph import YamnetGraph, shared_yamnet


class Model:
    """A judge that is a function from waveforms or embeddings to scores.

    The attributes are those of `evaluation.judges.judge.Judge`; the identity is a hash of its files.
    """

    def __init__(
        self,
        name: str,
        identity: str,
        classes: ClassList,
        sample_rate: int,
        score: Callable[[np.ndarray], Any],
        *,
        window: int | None = None,
        yamnet: YamnetGraph | None = None,
    ):
        """Make a judge, and try it on two seconds of silence.

        `score` takes float32 [samples], in windows of a fixed length if `window` gives one, or [patches, 1024] if
        `yamnet` computes embeddings; it returns scores [..., classes].

        Raises:
            JudgeError: the function fails, or returns no scores.
        """
        self.name, self.identity, self.classes, self.sample_rate = name, identity, classes, sample_rate
        self._score, self._window, self._yamnet = score, window, yamnet
        self.judge(np.zeros(2 * sample_rate, np.float32))

    def judge(self, waveform: np.ndarray) -> Judgement:
        """Score a waveform, float32 [samples] at the judge's sample rate."""
        if self._yamnet is not None:
            embeddings = self._yamnet.embed(waveform)
            return Judgement(self._scores(embeddings), embeddings)
        if self._window is None:
            return Judgement(self._scores(np.asarray(waveform, np.float32)))
        scores = [self._scores(each) for each in windows(waveform, self._window)]
        return Judgement(np.stack(scores).mean(axis=0, dtype=np.float64).astype(np.float32))

    def _scores(self, given: np.ndarray) -> np.ndarray:
        try:
            scores = np.asarray(self._score(given), np.float64)
        except Exception as error:  # whatever a user's model raises
            raise JudgeError(
                f"judge {self.name} cannot score an input of shape {given.shape}: {first_line(error)}"
            ) from error
        count = len(self.classes)
        if scores.ndim == 0 or scores.shape[-1] != count:
            raise JudgeError(
                f"judge {self.name} gives scores of shape {scores.shape} and its class list has {count} classes: "
                f"expected a last axis of {count}"
            )
        scores = scores.reshape(-1, count).mean(axis=0)
        if not (np.isfinite(scores).all() and scores.min() >= -1e-6 and scores.max() <= 1 + 1e-6):
            raise JudgeError(
                f"judge {self.name} gives scores from {scores.min():.3g} to {scores.max():.3g}: expected probabilities "
                "from 0 to 1; put a sigmoid or softmax at its end"
            )
        return np.clip(scores, 0, 1).astype(np.float32)


def load_savedmodel(spec: JudgeSpec) -> Judge:
    """Load a SavedModel by its serving signature: one input, and one output as wide as the class list.

    Raises:
        JudgeError: it is not such a model.
    """
    with as_judge():
        classes = _classes(spec)
        return _model(spec, model_files.load_savedmodel(spec.judge, len(classes)), classes)


def load_keras(spec: JudgeSpec) -> Judge:
    """Load a Keras model; Keras refuses one that holds code of its own (a Lambda).

    Raises:
        JudgeError: it is not such a model.
    """
    with as_judge():
        return _model(spec, model_files.load_keras(spec.judge), _classes(spec))


def load_callable(spec: JudgeSpec) -> Judge:
    """Import ``module:function``, from the working folder too: waveform float32 [samples] -> scores [..., classes].

    Its attributes `classes` (names) and `sample_rate` may replace the specification's, and must not contradict them.

    Raises:
        JudgeError: there is no such function, or its classes or rate are missing.
    """
    module_name, _, attribute = spec.judge.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except Exception as error:  # a module runs code of its own
        raise JudgeError(f"judge {spec.judge!r} cannot be imported: {first_line(error)}") from error
    if not callable(found):
        raise JudgeError(f"judge {spec.judge!r} is a {type(found).__name__}; expected a function of a waveform")
    own_rate: int | None = getattr(found, "sample_rate", None)
    if None not in (own_rate, spec.sample_rate) and own_rate != spec.sample_rate:
        raise JudgeError(f"judge {spec.judge!r} takes {own_rate} Hz, not {spec.sample_rate}: leave out --sample-rate")
    own: Sequence[str] | None = getattr(found, "classes", None)
    with as_judge():
        classes = named_classes(list(own)) if own is not None and spec.classes is None else _classes(spec)
    file = getattr(sys.modules[module_name], "__file__", None)
    identity = files_digest([Path(file)]) if file else spec.judge
    rate = own_rate or _rate(spec)
    yamnet = shared_yamnet(spec.weights) if spec.input == "embeddings" else None
    return Model(spec.judge, identity, classes, rate, found, yamnet=yamnet)


def _model(spec: JudgeSpec, loaded: Loaded, classes: ClassList) -> Model:
    """Make a judge from a function of batches, by the shape of its input."""
    shape, identity = loaded.shape, loaded.identity

    def call(given: np.ndarray) -> np.ndarray:
        return np.asarray(loaded.run(given, (SCORES,))[SCORES])

    name = Path(spec.judge).name
    width = shape[-1] if len(shape) > 1 else 0
    if spec.input == "embeddings" or (spec.input == "auto" and width == EMBEDDING):
        if width not in (None, EMBEDDING) or len(shape) > 3:
            raise JudgeError(f"judge {name} takes {shape}; expected YAMNet's embeddings, [batch, {EMBEDDING}]")
        if spec.sample_rate not in (None, SAMPLE_RATE):
            raise JudgeError(
                f"judge {name} takes YAMNet's embeddings, at {SAMPLE_RATE} Hz, not {spec.sample_rate}: leave out "
                "--sample-rate"
            )
        rows = (lambda given: call(given[None])) if len(shape) == 3 else call
        return Model(name, identity, classes, SAMPLE_RATE, rows, yamnet=shared_yamnet(spec.weights))
    if len(shape) == 3 and shape[2] == 1:
        return Model(name, identity, classes, _rate(spec), lambda w: call(w[None, :, None]), window=shape[1])
    if len(shape) == 2:
        return Model(name, identity, classes, _rate(spec), lambda w: call(w[None]), window=shape[1])
    if len(shape) == 1:
        return Model(name, identity, classes, _rate(spec), call, window=shape[0])
    raise JudgeError(
        f"judge {name} takes {shape}; expected waveforms ([samples], [batch, samples] or [batch, samples, 1]) or "
        f"YAMNet's embeddings ([batch, {EMBEDDING}])"
    )


def _classes(spec: JudgeSpec) -> ClassList:
    if spec.classes is None:
        raise JudgeError(f"judge {spec.judge!r} has no class names: give --classes FILE")
    return read_classes(spec.classes)


def _rate(spec: JudgeSpec) -> int:
    if spec.sample_rate is None:
        raise JudgeError(f"judge {spec.judge!r} has no sample rate: give --sample-rate HZ")
    return spec.sample_rate


def windows(waveform: np.ndarray, length: int, hop: int | None = None) -> list[np.ndarray]:
    """Cut a waveform [samples] into windows, the last padded with zeros; there is at least one."""
    hop = hop or length
    starts = range(0, max(1, len(waveform) - length + hop), hop)
    cut = [np.asarray(waveform[start : start + length], np.float32) for start in starts]
    return [np.pad(each, (0, length - len(each))) for each in cut]
