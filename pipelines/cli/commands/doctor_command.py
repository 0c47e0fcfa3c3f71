"""``dreambeam doctor``: what works on this machine, and what to do about what does not."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator

import numpy as np

from augment.determinism.arithmetic import LIMIT, arithmetic, limit_is_unknown
from augment.models import weights
from augment.models.weights import WeightsError
from augment.models.yamnet import DreamingModel, padded_length
from pipelines.run.augmentation import LOCAL_RUNNER

_PACKAGES = ("tensorflow", "tensorflow-hub", "tensorflow-datasets", "apache-beam", "numpy", "soundfile", "soxr")


def run(path: str | None) -> int:
    """Print a line for each check; return 1 if something that is needed does not work."""
    failed = 0
    for check in (_python, _packages, _arithmetic, _audio, lambda: _weights(path), _runner, _engines):
        for state, line in _guarded(check):
            failed += state == "FAIL"
            print(f"{state:4}  {line}")
    print("All that is needed works." if not failed else f"{failed} of the checks failed: see what to do above.")
    return 1 if failed else 0


_Lines = Iterator[tuple[str, str]]


def _guarded(check: Callable[[], _Lines]) -> _Lines:
    try:
        yield from check()
    except Exception as error:  # noqa: BLE001  a doctor reports whatever is wrong
        yield "FAIL", " ".join(f"{type(error).__name__}: {error}".split())


def _python() -> _Lines:
    good = (3, 10) <= sys.version_info[:2] <= (3, 13)
    yield ("ok" if good else "FAIL"), f"python {platform.python_version()}{'' if good else ': use 3.10 to 3.13'}"
    yield "ok", f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}"


def _packages() -> _Lines:
    for name in _PACKAGES:
        installed = next((found.version for found in importlib.metadata.distributions(name=name)), None)
        if installed:
            yield "ok", f"{name} {installed}"
        else:
            yield "FAIL", f"{name} is not installed: pip install dreambeam"


def _arithmetic() -> _Lines:
    found = arithmetic()
    yield "ok", f"arithmetic: {found}; arithmetic=fast takes products in {found.products}"
    if limit_is_unknown():
        yield "warn", f"oneDNN does not know {LIMIT}={os.environ.get(LIMIT)} and ignores it: set SSE41, AVX or AVX2"
    if not found.onednn and found.device == "cpu":
        yield "warn", "this TensorFlow has no oneDNN: dreams take several times as long; install tensorflow from PyPI"


def _audio() -> _Lines:
    import soundfile

    formats = [name for name in ("WAV", "FLAC", "OGG", "MP3") if name in soundfile.available_formats()]
    good = len(formats) == 4
    remedy = "" if good else ": MP3 needs libsndfile 1.1 or newer, pip install -U soundfile"
    yield (
        ("ok" if good else "warn"),
        f"libsndfile {soundfile.__libsndfile_version__} reads {', '.join(formats)}{remedy}",
    )


def _weights(path: str | None) -> _Lines:
    try:
        found = weights.resolve_weights(path)
        variables = weights.load_variables(found)
    except WeightsError as error:
        yield "FAIL", str(error)
        return
    official = weights.identity(variables) == weights.OFFICIAL_IDENTITY
    yield ("ok" if official else "warn"), f"YAMNet in {found}{'' if official else ': not the official weights'}"
    model = DreamingModel(variables)
    length = padded_length(16_000)
    heard = model.classes.names[int(np.argmax(model.scores(np.zeros((1, length), np.float32), np.array([16_000]))))]
    yield ("ok" if heard == "Silence" else "FAIL"), f"YAMNet hears {heard} in zeros"


def _runner() -> _Lines:
    import apache_beam as beam
    from apache_beam.testing.util import assert_that, equal_to

    with beam.Pipeline(runner=LOCAL_RUNNER) as pipeline:
        assert_that(pipeline | beam.Create([1, 2, 3]) | beam.CombineGlobally(sum), equal_to([6]))
    yield "ok", "Beam's in-process runner (FnApiRunner)"


def _engines() -> _Lines:
    java = shutil.which("java")
    if java:
        yield "ok", f"java ({java}), for the Flink and Spark runners"
    else:
        yield "warn", "no java: only the Flink and Spark runners need it"
