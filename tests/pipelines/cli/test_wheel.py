"""The wheel that `make dist` builds: what it holds, and that it works in another environment, from another folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
import soundfile
from paths import REPOSITORY

pytestmark = pytest.mark.slow

PACKAGES = ("augment", "configs", "evaluation", "pipelines")


def run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build as `make dist` does, from a copy, and with the setuptools that is here: nothing is downloaded."""
    copy = tmp_path_factory.mktemp("source")
    for name in PACKAGES:
        shutil.copytree(REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, copy)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", copy / "dist", ".", cwd=copy)
    (found,) = (copy / "dist").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an environment of its own, which borrows the dependencies; return its bin folder."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    run(*pip, "install", "--quiet", "--no-index", "--no-deps", wheel, cwd=folder)
    own = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    # A path in a .pth file comes after the environment's own packages, and the .pth files there are not read: the
    # checkout, which such a file adds, stays unknown.
    (Path(own) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def test_the_wheel_holds_all_files_of_the_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = (path for package in PACKAGES for path in (REPOSITORY / package).rglob("*") if path.is_file())
    assert names == {str(path.relative_to(REPOSITORY)) for path in files if "__pycache__" not in path.parts}


def test_the_installed_wheel_works_from_another_folder(installed: Path, tmp_path: Path) -> None:
    code = "import augment; from importlib.metadata import distribution as d; "
    code += "print(augment.__file__, d('dreambeam').locate_file(''))"
    places = run(installed / "python", "-c", code, cwd=tmp_path).split()
    assert all(place.startswith(str(installed.parent)) for place in places)
    dreambeam = installed / "dreambeam"
    assert run(dreambeam, "--version", cwd=tmp_path).startswith("dreambeam ")
    configs = run(dreambeam, "configs", cwd=tmp_path)
    assert sorted(line.split()[0] for line in configs.splitlines()) == sorted(
        path.stem for path in (REPOSITORY / "configs").glob("*.yaml")
    )
    assert run(dreambeam, "doctor", cwd=tmp_path).splitlines()[-1] == "All that is needed works."
    assert "toward" in run(dreambeam, "dream", "demo", "out.wav", "--target", "Dog", "--steps", "1", cwd=tmp_path)
    assert soundfile.info(tmp_path / "out.wav").duration == pytest.approx(60, abs=1)
