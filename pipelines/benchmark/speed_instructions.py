"""How fast the exact and the fast arithmetic are with each kind of vector instructions that this processor has.

oneDNN reads its limit once, so each kind is measured in a process of its own: ``python -m
pipelines.benchmark.speed_instructions`` prints what this one takes, as JSON.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

from augment.determinism.arithmetic import LIMIT, ONEDNN_NAMES, instructions
from pipelines.benchmark.timing import CLIPS, STEPS, Row

_KINDS = ("SSE4.1", "AVX2", "AVX-512")
_START_SECONDS = 20  # of each process


def rows(rounds: int) -> list[Row]:
    """Measure exact and fast steps with the processor's own instructions and with older ones; give their rows.

    Raises `subprocess.CalledProcessError` if a process failed; it has printed why.
    """
    own = instructions()
    found: list[Row] = []
    for kind in _kinds(own):
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        if kind != own:
            environment[LIMIT] = ONEDNN_NAMES[kind]
        command = [sys.executable, "-W", "ignore", "-m", "pipelines.benchmark.speed_instructions", str(rounds)]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        found += [Row(**row) for row in json.loads(done.stdout)]
    return found


def expected_seconds(step_seconds: float, rounds: int) -> float:
    """Return about how many seconds `rows` takes.

    Args:
        step_seconds: of a gradient step of one clip with the newest instructions; older ones take about twice as long.
        rounds: as `rows` takes them.
    """
    steps = 2 * (rounds + 1) * STEPS * CLIPS  # exact and fast, after a round that warms up
    return len(_kinds(instructions())) * (_START_SECONDS + 2 * step_seconds * steps)


def _kinds(own: str) -> tuple[str, ...]:
    """Return the kinds of instructions that a processor has."""
    return _KINDS[: _KINDS.index(own) + 1] if own in _KINDS else (own,)


def _own_rows(rounds: int) -> list[Row]:
    from augment.determinism.arithmetic import arithmetic
    from augment.models.yamnet import load_dreaming_model
    from pipelines.benchmark.timed_parts import step_work
    from pipelines.benchmark.timing import timed

    model, here = load_dreaming_model(), arithmetic()
    exact, fast = f"{here.instructions}, exact", f"{here.instructions}, fast in {here.products}"
    work = [
        step_work(model, "instructions", exact, {"update": "sign_momentum"}, None),
        step_work(model, "instructions", fast, {"arithmetic": "fast"}, exact),
    ]
    return timed(work, rounds)


if __name__ == "__main__":
    print(json.dumps([dataclasses.asdict(row) for row in _own_rows(int(sys.argv[1]))]))
