"""Fixtures of the cluster tests: recordings, a run on this machine, what workers know, and the engines."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import soundfile
from cluster_runs import MANY, REPOSITORY, ends, start
from engines import Engine, flink_engine, prism_engine, spark_engine
from fetch import ENGINES, MissingError, fetch

STARTERS = {"flink": flink_engine, "spark": spark_engine, "prism": prism_engine}
CHOSEN = os.environ.get("ENGINE", "").split() or list(ENGINES)


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="session")
def installed(place: Path) -> Path:
    """Folder with what dreambeam's wheel holds."""
    source = place / "source"  # a build in the repository would leave files there
    for name in ("augment", "configs", "evaluation", "pipelines"):
        shutil.copytree(REPOSITORY / name, source / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", place, source], check=True, cwd=place
    )
    (wheel,) = place.glob("dreambeam-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--no-compile", "--target", place / "installed", wheel], check=True)
    return place / "installed"


@pytest.fixture(scope="session")
def worker(place: Path, installed: Path) -> str:
    """How an engine starts a worker, as JSON: it knows dreambeam from its wheel alone, and has an empty cache."""
    (place / "workers/cache").mkdir(parents=True)
    boot = place / "boot.sh"
    boot.write_text(f'#!/bin/sh\ncd {place}/workers\nexec {sys.executable} {Path(__file__).parent}/boot.py "$@"\n')
    boot.chmod(0o755)
    known = {"PYTHONPATH": str(installed), "DREAMBEAM_CACHE": str(place / "workers/cache")}
    return json.dumps({"command": str(boot), "env": known | {"TF_CPP_MIN_LOG_LEVEL": "2"}})


@pytest.fixture(scope="session", params=CHOSEN)
def engine(request: pytest.FixtureRequest, place: Path, worker: str) -> Iterator[Engine]:
    """Each engine in turn, started once."""
    try:
        folder = fetch(request.param)
    except MissingError as error:
        pytest.skip(f"no {request.param} here: {error}")
    with STARTERS[request.param](folder, place / request.param, worker) as running:
        yield running


@pytest.fixture(scope="session")
def few(shared: Path, place: Path) -> Path:
    """The first second of a few recordings, and a file that is none."""
    return _recordings(shared, place / "few", ("dog_bark", "rain", "rooster", "sea_waves"), 1, 1.0)


@pytest.fixture(scope="session")
def many(shared: Path, place: Path) -> Path:
    """Half a second of many recordings, and a file that is none."""
    classes = [path.name for path in (shared / "data/esc10-dev").iterdir() if path.is_dir()]
    return _recordings(shared, place / "many", classes, MANY // len(classes), 0.5)


def _recordings(shared: Path, folder: Path, classes: Sequence[str], each: int, seconds: float) -> Path:
    for path in [p for name in classes for p in sorted((shared / "data/esc10-dev" / name).glob("*.ogg"))[:each]]:
        samples, rate = soundfile.read(path, dtype="float32")
        (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / path.parent.name / f"{path.stem}.wav", samples[: round(seconds * rate)], rate)
    (folder / "broken.wav").write_bytes(b"RIFF and no more")
    return folder


@pytest.fixture(scope="session")
def few_here(place: Path, few: Path) -> Path:
    """The dataset of a run on this machine."""
    ends(start("augment", *few_arguments(few, place / "few-here")), code=3)
    return place / "few-here"


def few_arguments(few: Path, output: Path) -> tuple[str | Path, ...]:
    """One dream of each clip, slow enough to be killed in its midst."""
    changes = ("recipe.steps=150", "recipe.hold=null", "shards=2")
    return ("--input", few, "--output", output, *(part for each in changes for part in ("--set", each)))
