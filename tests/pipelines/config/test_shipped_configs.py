"""Configs by name: from a checkout, and from a wheel in an empty environment."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from paths import REPOSITORY

from pipelines.cli import main
from pipelines.config.run_config import ConfigError, load_config
from pipelines.config.shipped_configs import FOLDER, shipped

ROOT = REPOSITORY


@pytest.mark.parametrize("name", list(shipped()))
def test_a_name_is_the_file_of_that_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sound = ["recipe.sound=demo"] if name == "paper" else []
    assert load_config(name, sound) == load_config(FOLDER / f"{name}.yaml", sound)


def test_a_file_goes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("quickstart").write_text("name: own")
    assert load_config("quickstart").name == "own"


def test_a_wrong_name_is_told_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"cannot read the config 'quikstart'.*shipped are paper, quickstart"):
        load_config("quikstart")


def test_configs_lists_each_with_a_line_and_prints_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["configs"])
    lines = capsys.readouterr().out.splitlines()
    assert ended.value.code == 0
    assert [line.split()[0] for line in lines] == list(shipped())
    assert "quickstart     Two dreams of every clip toward random classes, quick and close to the source." in lines
    with pytest.raises(SystemExit):
        main(["configs", "quickstart"])
    assert capsys.readouterr().out == (FOLDER / "quickstart.yaml").read_text(encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["configs", "nothing"])
    assert (ended.value.code, "choices: paper, quickstart" in capsys.readouterr().err) == (2, True)


def test_the_wheel_holds_the_configs(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
    ]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"configs/{name}.yaml" for name in shipped()} <= set(names)
