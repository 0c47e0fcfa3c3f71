"""Fixtures of the cluster tests: recordings, a run on this machine, and workers that know only dreambeam's wheel."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import WorkerPool, worker_pool
from runs import RECIPE, REPOSITORY, ends, start


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="session")
def installed(place: Path) -> Path:
    """Folder with what dreambeam's wheel holds."""
    source = place / "source"  # a build in the repository would leave files there
    for name in ("augment", "evaluation", "pipelines"):
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
def pool(place: Path, installed: Path) -> Iterator[WorkerPool]:
    (place / "workers/cache").mkdir(parents=True)
    environment = {"PYTHONPATH": str(installed), "DREAMBEAM_CACHE": str(place / "workers/cache")}
    with worker_pool(place / "workers", environment) as running:
        yield running


@pytest.fixture(scope="session")
def recordings(shared: Path) -> Path:
    return shared / "data/esc10-dev/rooster"


@pytest.fixture(scope="session")
def here(place: Path, recordings: Path) -> Path:
    """The dataset of a run on this machine."""
    ends(start("augment", "--input", recordings, "--output", place / "here", *RECIPE))
    return place / "here"
