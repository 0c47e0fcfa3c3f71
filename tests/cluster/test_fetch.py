"""What fetch.py says where something is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import fetch
import pytest

CLOSED = "127.0.0.1:9"  # nobody listens there


@pytest.mark.parametrize(("engine", "program"), [("flink", "java"), ("spark", "java"), ("prism", "go")])
def test_without_its_programs_fetching_ends_with_3_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, program: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(fetch.MissingError, match=f"there is no {program} on the PATH: install ") as caught:
        fetch.fetch(engine, tmp_path)
    assert caught.value.code == 3
    assert not (tmp_path / engine).exists()


def test_an_unknown_engine_ends_with_2_and_the_choices() -> None:
    ended = subprocess.run([sys.executable, fetch.__file__, "dask"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (2, "there is no engine 'dask'; choices: flink, spark, prism\n")


@pytest.mark.cluster
def test_a_registry_out_of_reach_is_code_4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "BUILD", tmp_path)
    monkeypatch.setenv("HTTPS_PROXY", f"http://{CLOSED}")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(fetch.OutOfReachError, match="could not fetch apache-flink") as caught:
        fetch.fetch("flink", tmp_path)
    assert caught.value.code == 4


def test_an_archive_with_another_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "BUILD", tmp_path)
    (tmp_path / "archives").mkdir()
    archive = tmp_path / f"archives/pyspark-{fetch.SPARK}.tar.gz"
    archive.write_bytes(b"something else")
    with pytest.raises(RuntimeError, match="another sha256"):
        fetch._unpack(f"pyspark=={fetch.SPARK}", "/deps/jars/", tmp_path / "jars")  # pyright: ignore[reportPrivateUsage]
    assert not archive.exists()
