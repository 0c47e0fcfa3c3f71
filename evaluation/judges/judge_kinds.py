"""Judges: what scores the outputs. A judge is never the model that dreamed them.

A judge takes one mono waveform at its own sample rate and gives its scores. `YamnetGraph` is the TF-Hub graph as
Google published it, untouched: the same weights as the dreaming model, through other code. The others are in
`evaluation.judges.crnn_judge` and `evaluation.judges.file_judges`. `JUDGES` lists the kinds; `JudgeSpec` says which is
wanted, and is what crosses to a worker; `shared_judge` loads it, once for a process.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable
from pathlib import Path

from augment.models.interface import INPUTS, RATES
from augment.models.model_files import file_kind
from augment.sound.samples import SAMPLE_RATE
from evaluation.judges import file_judges
from evaluation.judges.crnn_judge import Crnn
from evaluation.judges.head_judge import load_head_judge
from evaluation.judges.judge import Judge, JudgeError, JudgeSpec
from evaluation.judges.yamnet_graph import shared_yamnet


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


_loading = threading.Lock()


def shared_judge(spec: JudgeSpec) -> Judge:
    """Load a judge once for the whole process, however many threads ask."""
    with _loading:
        return _load(spec)


def forget_judges() -> None:
    """Load judges anew from now on: a file has changed."""
    _load.cache_clear()


@functools.lru_cache(maxsize=2)  # the judge, and YAMNet beside another one
def _load(spec: JudgeSpec) -> Judge:
    return make_judge(spec)


def _yamnet(spec: JudgeSpec) -> Judge:
    _refuse_settings(spec, SAMPLE_RATE)
    return shared_yamnet(spec.weights)


def _crnn(spec: JudgeSpec) -> Judge:
    _refuse_settings(spec, Crnn.sample_rate)
    return Crnn()


def _head(spec: JudgeSpec) -> Judge:
    _refuse_settings(spec, SAMPLE_RATE)
    return load_head_judge(spec)


def _savedmodel(spec: JudgeSpec) -> Judge:
    return file_judges.load_savedmodel(spec)


def _keras(spec: JudgeSpec) -> Judge:
    return file_judges.load_keras(spec)


def _callable(spec: JudgeSpec) -> Judge:
    return file_judges.load_callable(spec)


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
