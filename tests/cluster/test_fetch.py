"""What fetch.py says of what it cannot have, and that it does not say so of what is broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import fetch
import pytest

CLOSED = "127.0.0.1:9"  # nobody listens there


def test_without_java_fetching_ends_with_3_and_one_line(tmp_path: Path) -> None:
    command = [sys.executable, fetch.__file__]
    ended = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert ended.returncode == 3
    assert ended.stderr == "the cluster tests cannot run: there is no java on the PATH\n"


@pytest.mark.cluster
@pytest.mark.parametrize("registry", ["PyPI", "Maven"])
def test_a_registry_out_of_reach_is_code_4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: str) -> None:
    if registry == "Maven":
        (tmp_path / f"flink-{fetch.FLINK}/lib").mkdir(parents=True)  # as if PyPI had answered
    host, port = CLOSED.split(":")
    monkeypatch.setenv("MAVEN_OPTS", f"-Dmaven.repo.local={tmp_path} -Dhttps.proxyHost={host} -Dhttps.proxyPort={port}")
    monkeypatch.setenv("HTTPS_PROXY", f"http://{CLOSED}")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(fetch.OutOfReachError, match=r"could not fetch apache-flink|mvn package failed") as caught:
        fetch.fetch(tmp_path)
    assert caught.value.code == 4


@pytest.mark.cluster
def test_a_stand_in_that_does_not_compile_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(fetch.HERE / "runner", tmp_path / "runner")
    next((tmp_path / "runner").rglob("Stage.java")).write_text("this is no Java", encoding="utf-8")
    monkeypatch.setattr(fetch, "HERE", tmp_path)
    with pytest.raises(RuntimeError, match="COMPILATION ERROR") as caught:
        fetch._stand_in(tmp_path / "stand-in.jar")  # pyright: ignore[reportPrivateUsage]
    assert not isinstance(caught.value, fetch.MissingError)
    assert os.listdir(tmp_path) == ["runner"]
