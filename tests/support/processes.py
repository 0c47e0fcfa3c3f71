"""Commands in a process of their own: importing TensorFlow takes seconds, so several may share one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_RUN = """
import contextlib, io, json, sys
from pipelines.cli import main
ends = []
for command in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(command)
        except SystemExit as end:
            ends.append([int(end.code or 0), out.getvalue(), err.getvalue()])
print("ENDS", json.dumps(ends))
"""


class End(NamedTuple):
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


def run_commands(*commands: Sequence[str | Path], **environment: str) -> list[End]:
    """Run commands of dreambeam one after another in one new process, with these environment variables."""
    given = json.dumps([list(map(str, command)) for command in commands])
    done = subprocess.run(
        [sys.executable, "-c", _RUN, given],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stdout.rpartition("ENDS ")[2]
    assert last, done.stderr
    return [End(*each) for each in json.loads(last)]
