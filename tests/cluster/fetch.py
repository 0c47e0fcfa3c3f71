"""Fetch what the cluster tests need into build/flink, once: Flink's jars from PyPI, a job server's jar by Maven.

Beam's own job server is taken where Maven finds it; where it does not, the stand-in of runner/ is built. Prints the
paths. Exit codes:

    0  all is there
    3  no Java or no Maven, in one line: to ask again is of no use
    4  a registry did not give what was asked of it, or not in time, in one line: to ask again may help
    1  something is broken: what came is not what it should be, or the stand-in does not build

With 3 and 4 the tests cannot run, which says nothing of dreambeam; with 1 something has to be mended.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

FLINK = "1.20.5"
BEAM = "2.77.0"
JOB_SERVER = f"org.apache.beam:beam-runners-flink-{FLINK[:4]}-job-server:{BEAM}"
JAVA = 11  # Flink 1.20 is for 11 and 17; the stand-in is compiled for 11
SECONDS = 240.0

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "flink"


_BROKEN = re.compile("COMPILATION ERROR")
"""What Maven says when the fault is ours. All else that it fails by is a repository that gave it nothing, which it has
many words for."""


class MissingError(RuntimeError):
    """Something is not to be had; the message is one line.

    Attributes:
        code: with which the program ends.
    """

    code = 3


class OutOfReachError(MissingError):
    """A registry did not give what was asked of it; the message is one line."""

    code = 4


def fetch(build: Path = BUILD) -> dict[str, str]:
    """Return where Flink's jars and the job server's jar are, and whether that is Beam's own.

    Raises:
        MissingError: something is not to be had.
        RuntimeError: the stand-in does not build.
    """
    _look_for_programs()
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
        except OutOfReachError:
            _stand_in(stand_in)
    return {"lib": str(lib), "jar": str(jar if jar.exists() else stand_in), "own": str(jar.exists())}


def _look_for_programs() -> None:
    for program in ("java", "mvn"):
        if not shutil.which(program):
            raise MissingError(f"there is no {program} on the PATH")
    told = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) < JAVA:
        raise MissingError(f"Java {JAVA} or later is needed, java -version says {told.splitlines()[0]}")


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
    if not shutil.which("javac"):
        raise MissingError(
            "there is no javac on the PATH, only a Java that runs programs: the stand-in has to be compiled"
        )
    with tempfile.TemporaryDirectory(dir=jar.parent) as folder:
        shutil.copytree(HERE / "runner", folder, dirs_exist_ok=True)
        _maven("package", folder=Path(folder))
        (Path(folder) / "target" / "flink-stand-in.jar").rename(jar)


def _maven(goal: str, *settings: str, folder: Path) -> None:
    _run(["mvn", "--quiet", "--batch-mode", "-Dstyle.color=never", goal, *settings], f"mvn {goal} failed", folder)


def _run(command: list[str], complaint: str, folder: Path | None = None) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS, cwd=folder)
    except subprocess.TimeoutExpired as error:
        raise OutOfReachError(f"{complaint}: not within {SECONDS:.0f} s") from error
    except subprocess.CalledProcessError as error:
        told = error.stdout + error.stderr
        if _BROKEN.search(told):
            raise RuntimeError(f"{complaint}: {told}") from error
        lines = [line for line in told.splitlines() if "ERROR" in line] or [error.stderr]
        raise OutOfReachError(f"{complaint}: {lines[0].strip()[:300]}") from error


if __name__ == "__main__":
    try:
        print(json.dumps(fetch(), indent=2))
    except MissingError as missing:
        print(f"the cluster tests cannot run: {missing}", file=sys.stderr)
        sys.exit(missing.code)
