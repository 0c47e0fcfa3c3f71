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
MANY = 60
SECONDS = 400.0


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start a command of this checkout."""
    command = [*COMMAND, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def ends(running: subprocess.Popen[str], code: int = 0) -> str:
    """Wait for a command that must end with a code; return what it printed."""
    try:
        out, complaints = running.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        running.kill()
        out, complaints = running.communicate()
        raise AssertionError(f"not within {SECONDS:.0f} s: {out}\n{complaints}") from None
    assert running.returncode == code, complaints
    return out


def assert_same_dataset(output: Path, expected: Path, *, rerun: bool = False) -> None:
    """Hold a dataset to another one, byte by byte, and to leaving nothing behind; a rerun counts what it reused."""
    names = sorted(path.name for path in expected.iterdir())
    assert sorted(path.name for path in output.iterdir()) == names
    for name in names:
        if name not in ("run.json", "load.py", "provenance.parquet"):
            assert (output / name).read_bytes() == (expected / name).read_bytes(), name
    rows = [pd.read_parquet(folder / "provenance.parquet") for folder in (output, expected)]
    pd.testing.assert_frame_equal(rows[0], rows[1])
    assert rows[0]["id"].is_unique
    runs = [json.loads((folder / "run.json").read_text()) for folder in (output, expected)]
    counts = [{k: v for k, v in run["counts"].items() if not (rerun and "reused" in k)} for run in runs]
    assert counts[0] == counts[1]
    assert runs[0]["failures_by_stage"] == runs[1]["failures_by_stage"]
    assert not list(output.parent.glob(f"{output.name}.*"))


def metrics(dataset: Path) -> dict[str, float]:
    """Return the counters of a run; how batches filled depends on how an engine parts the work."""
    found = json.loads((dataset / "run.json").read_text())["metrics"]
    return {name: value for name, value in found.items() if name != "batch_fill"}
