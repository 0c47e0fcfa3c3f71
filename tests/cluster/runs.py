"""Commands in processes of their own, and what makes two datasets the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

REPOSITORY = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from pipelines.cli import main; main()"]
CLIPS = 4
RECIPE = ("--set", "recipe.steps=150", "--set", "recipe.hold=null", "--set", "shards=2")
SECONDS = 240.0


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [*COMMAND, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def ends(running: subprocess.Popen[str]) -> str:
    """Wait for a command that must succeed; return what it printed."""
    try:
        out, complaints = running.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        running.kill()
        out, complaints = running.communicate()
        raise AssertionError(f"not within {SECONDS:.0f} s: {out}\n{complaints}") from None
    assert running.returncode == 0, complaints
    return out


def assert_same_dataset(output: Path, expected: Path) -> None:
    """Hold a dataset to another one, byte by byte, and to leaving nothing behind."""
    names = sorted(path.name for path in expected.iterdir())
    assert sorted(path.name for path in output.iterdir()) == names
    for name in names:
        if name not in ("run.json", "load.py", "provenance.parquet"):
            assert (output / name).read_bytes() == (expected / name).read_bytes(), name
    rows = [pd.read_parquet(folder / "provenance.parquet") for folder in (output, expected)]
    pd.testing.assert_frame_equal(rows[0], rows[1])
    assert rows[0]["id"].is_unique
    told = [json.loads((folder / "run.json").read_text())["counts"] for folder in (output, expected)]
    assert told[0] == told[1]
    assert not list(output.parent.glob(f"{output.name}.*"))
