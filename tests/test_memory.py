"""Memory: it does not grow with the number of clips."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

REPOSITORY = Path(__file__).parents[1]

MEASURED = """
import resource, sys
from recordings import augment
augment(sys.argv[1], sys.argv[2], "include_original=false")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_kilobytes(clips: int, folder: Path) -> int:
    """Run over so many one-second clips in a process of its own; return the most memory that it held."""
    source = folder / "in"
    source.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(clips):
        soundfile.write(source / f"{number}.wav", rng.normal(0, 0.1, 16_000), 16_000)
    command = [sys.executable, "-c", MEASURED, str(source), str(folder / "out")]
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'tests'}"}
    run = subprocess.run(command, capture_output=True, check=True, text=True, env=environment)
    return int(run.stdout.splitlines()[-1])


def test_five_times_as_many_clips_take_no_more_memory_than_a_tenth(tmp_path: Path) -> None:
    # both fill several batches; the same holds for 2 000 against 20 000 clips, which takes minutes
    few, many = (peak_kilobytes(count, tmp_path / str(count)) for count in (160, 800))
    assert many < 1.1 * few
