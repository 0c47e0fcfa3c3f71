"""Fixtures of the cluster tests: recordings, a run on this machine, and what workers know."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from runs import CLIPS, RECIPE, REPOSITORY, ends, start


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
def environment(place: Path, installed: Path) -> dict[str, str]:
    """Variables of workers, which know dreambeam from its wheel alone and have an empty cache."""
    (place / "workers/cache").mkdir(parents=True)
    return {"PYTHONPATH": str(installed), "DREAMBEAM_CACHE": str(place / "workers/cache")}


@pytest.fixture(scope="session")
def recordings(shared: Path, place: Path) -> Path:
    """The first second of a few recordings."""
    folder = place / "recordings/rooster"
    folder.mkdir(parents=True)
    for path in sorted((shared / "data/esc10-dev/rooster").glob("*.ogg"))[:CLIPS]:
        samples, rate = soundfile.read(path, dtype="float32")
        soundfile.write(folder / f"{path.stem}.wav", samples[:rate], rate)
    return folder.parent


@pytest.fixture(scope="session")
def here(place: Path, recordings: Path) -> Path:
    """The dataset of a run on this machine."""
    ends(start("augment", "--input", recordings, "--output", place / "here", *RECIPE))
    return place / "here"
