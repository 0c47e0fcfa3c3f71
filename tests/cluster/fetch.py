"""Fetch what the cluster tests need into build/flink, once: Flink's jars from PyPI, a job server's jar by Maven.

Beam's own job server is taken where Maven finds it; where it does not, the stand-in of runner/ is built. Prints the
paths; exits with 3 and one line that says why if something is not to be had (no Java, no Maven, a registry that is out
of reach): the tests are then skipped.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

FLINK = "1.20.5"
BEAM = "2.77.0"
JOB_SERVER = f"org.apache.beam:beam-runners-flink-{FLINK[:4]}-job-server:{BEAM}"
NOT_TO_BE_HAD = 3
SECONDS = 300.0

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "flink"


class MissingError(RuntimeError):
    """Something is not to be had; the message is one line."""


def fetch(build: Path = BUILD) -> dict[str, str]:
    """Return where Flink's jars and the job server's jar are, and whether that is Beam's own.

    Raises:
        MissingError: something is not to be had.
    """
    for program in ("java", "mvn"):
        if not shutil.which(program):
            raise MissingError(f"there is no {program} on the PATH")
    build.mkdir(parents=True, exist_ok=True)
    lib = build / f"flink-{FLINK}" / "lib"
    if not lib.is_dir():
        _flink(lib)
    jar = build / f"job-server-{BEAM}.jar"
    stand_in = build / "flink-stand-in.jar"
    if not jar.exists() and not stand_in.exists():
        try:
            _maven("dependency:copy", f"-Dartifact={JOB_SERVER}", f"-DoutputDirectory={build}", folder=build)
            next(build.glob("beam-runners-flink-*.jar")).rename(jar)
        except MissingError:
            _stand_in(stand_in)
    return {"lib": str(lib), "jar": str(jar if jar.exists() else stand_in), "own": str(jar.exists())}


def _flink(lib: Path) -> None:
    with tempfile.TemporaryDirectory(dir=lib.parents[1]) as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--dest", folder, f"apache-flink-libraries=={FLINK}"]
        _run(command, f"pip could not fetch apache-flink-libraries {FLINK}")
        (archive,) = Path(folder).glob("*.tar.gz")
        with tarfile.open(archive) as found:
            wanted = [each for each in found if "/deps/lib/" in each.name and each.name.endswith(".jar")]
            for each in wanted:
                each.name = Path(each.name).name
            found.extractall(Path(folder) / "lib", wanted, filter="data")
        lib.parent.mkdir(parents=True, exist_ok=True)
        (Path(folder) / "lib").rename(lib)


def _stand_in(jar: Path) -> None:
    with tempfile.TemporaryDirectory(dir=jar.parent) as folder:
        shutil.copytree(HERE / "runner", folder, dirs_exist_ok=True)
        _maven("package", folder=Path(folder))
        (Path(folder) / "target" / "flink-stand-in.jar").rename(jar)


def _maven(goal: str, *settings: str, folder: Path) -> None:
    _run(["mvn", "--quiet", "--batch-mode", goal, *settings], f"mvn {goal} failed", folder)


def _run(command: list[str], complaint: str, folder: Path | None = None) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS, cwd=folder)
    except subprocess.TimeoutExpired as error:
        raise MissingError(f"{complaint}: not within {SECONDS:.0f} s") from error
    except subprocess.CalledProcessError as error:
        lines = [line for line in (error.stdout + error.stderr).splitlines() if "ERROR" in line] or [error.stderr]
        raise MissingError(f"{complaint}: {lines[0].strip()[:300]}") from error


if __name__ == "__main__":
    try:
        print(json.dumps(fetch(), indent=2))
    except MissingError as missing:
        print(f"the cluster tests cannot run: {missing}", file=sys.stderr)
        sys.exit(NOT_TO_BE_HAD)
