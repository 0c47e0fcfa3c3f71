"""What is shown while a run goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from paths import REPOSITORY
from recordings import record

from pipelines.cli import watch
from pipelines.config.run_config import load_config

COMMAND = "from pipelines.cli import main; main()"


def on_a_terminal(*arguments: str | Path) -> tuple[int, str]:
    """Run a command whose stderr is a terminal; return its exit code and what it showed there."""
    ours, terminal = os.openpty()
    shown: list[bytes] = []

    def read() -> None:
        try:
            while part := os.read(ours, 4096):
                shown.append(part)
        except OSError:  # the terminal is closed
            return

    reader = threading.Thread(target=read)
    reader.start()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    command = [sys.executable, "-c", COMMAND, *map(str, arguments)]
    done = subprocess.run(
        command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=terminal, env=environment, check=False
    )
    os.close(terminal)
    reader.join()
    os.close(ours)
    return done.returncode, b"".join(shown).decode()


@pytest.mark.slow
def test_the_bar_of_a_run_shows_no_speed_before_there_is_one(tmp_path: Path) -> None:
    record(tmp_path / "in/dog/a.wav")
    code, shown = on_a_terminal("augment", "-i", tmp_path / "in", "-o", tmp_path / "out", "--steps", "2")
    assert code == 0
    assert "clips, 0 failed" in shown
    assert "0.0 s of audio" not in shown


def test_lines_show_no_speed_before_there_is_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(watch.time, "monotonic", lambda: now[0])
    config = load_config(None, ["recipe.steps=2", "include_original=false"])
    lines = watch.Lines()
    for seconds, steps in ((20.0, 0.0), (40.0, 100.0), (60.0, 300.0)):
        now[0] = 100.0 + seconds
        counts = Counter(records=1, step_seconds=steps, listed_seconds=50, listed_clips=5)  # type: ignore[call-overload]
        lines.update(watch.run_state(counts, config, 20, 2))
    assert capsys.readouterr().err.splitlines() == [
        "1 of 5 clips of 2 files",
        "1 of 5 clips of 2 files",
        "1 of 5 clips of 2 files, 0.5 s of audio a second, 70 s left",
    ]


def test_a_speed_that_would_be_shown_as_none_is_not_shown() -> None:
    found = [watch.rate(speed) for speed in (0.0, 0.04, 0.06, 12.34)]
    assert found == ["", "", "0.1 s of audio a second", "12.3 s of audio a second"]
