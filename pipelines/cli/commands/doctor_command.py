"""``dreambeam doctor``: what works on this machine, and what to do about the rest."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator

from pipelines.cli import options
from pipelines.cli.ending import DONE, FAILED
from pipelines.cli.quiet import start_tensorflow

_PACKAGES = ("tensorflow", "tensorflow-hub", "tensorflow-datasets", "apache-beam", "numpy", "soundfile", "soxr")
_Lines = Iterator[tuple[str, str]]

app = options.new_app()


@app.command()
def doctor(weights: str | None = options.WEIGHTS, debug: bool = options.DEBUG) -> int:
    """Check Python, libraries, weights and runners.

    Each line says ok, warn or FAIL, and what to do about it. Exit code 1: something that is needed does not work.
    """
    start_tensorflow()
    failed = 0
    for check in (_python, _packages, _arithmetic, _audio, lambda: _weights(weights), _runner, _java):
        for state, line in _guarded(check):
            failed += state == "FAIL"
            print(f"{state:4}  {line}")
    print(f"{failed} of the checks failed: see what to do above." if failed else "All that is needed works.")
    return FAILED if failed else DONE


def _guarded(check: Callable[[], _Lines]) -> _Lines:
    try:
        yield from check()
    except Exception as error:  # noqa: BLE001  a doctor reports any fault
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
    from augment.determinism.arithmetic import LIMIT, arithmetic, limit_is_unknown

    found = arithmetic()
    yield "ok", f"arithmetic: {found}; with arithmetic=fast, products in {found.products}"
    if limit_is_unknown():
        yield "warn", f"oneDNN does not know {LIMIT}={os.environ.get(LIMIT)} and ignores it: set SSE41, AVX or AVX2"
    if not found.onednn and found.device == "cpu":
        yield "warn", "this TensorFlow has no oneDNN: dreams take several times as long; install tensorflow from PyPI"


def _audio() -> _Lines:
    import soundfile

    formats = [name for name in ("WAV", "FLAC", "OGG", "MP3") if name in soundfile.available_formats()]
    line = f"libsndfile {soundfile.__libsndfile_version__} reads {', '.join(formats)}"
    if len(formats) == 4:
        yield "ok", line
    else:
        yield "warn", f"{line}: MP3 needs libsndfile 1.1 or newer, pip install -U soundfile"


def _weights(path: str | None) -> _Lines:
    import numpy as np

    from augment.models import weights
    from augment.models.yamnet import DreamingModel, padded_length

    try:
        found = weights.resolve_weights(path)
        variables = weights.load_variables(found)
    except weights.WeightsError as error:
        yield "FAIL", str(error)
        return
    official = weights.identity(variables) == weights.OFFICIAL_IDENTITY
    yield ("ok" if official else "warn"), f"YAMNet in {found}{'' if official else ': not the official weights'}"
    model = DreamingModel(variables)
    silence = np.zeros((1, padded_length(16_000)), np.float32)
    top = model.classes.names[int(np.argmax(model.scores(silence, np.array([16_000]))))]
    yield ("ok" if top == "Silence" else "FAIL"), f"YAMNet classifies zeros as {top}"


def _runner() -> _Lines:
    import apache_beam as beam
    from apache_beam.testing.util import assert_that, equal_to

    from pipelines.run.augmentation import LOCAL_RUNNER

    with beam.Pipeline(runner=LOCAL_RUNNER) as pipeline:
        assert_that(pipeline | beam.Create([1, 2, 3]) | beam.CombineGlobally(sum), equal_to([6]))
    yield "ok", "Beam's in-process runner (FnApiRunner)"


def _java() -> _Lines:
    java = shutil.which("java")
    if java:
        yield "ok", f"java ({java}), for the Flink and Spark runners"
    else:
        yield "warn", "no java: only the Flink and Spark runners need it"
