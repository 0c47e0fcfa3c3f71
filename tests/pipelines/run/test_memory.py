"""Memory: it does not grow with the number of clips, nor with the length of a file that is dreamed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from paths import REPOSITORY

pytestmark = pytest.mark.slow

AUGMENTED = """
import resource, sys
from recordings import augment
augment(sys.argv[1], sys.argv[2], "include_original=false")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""

DREAMED = """
import resource, sys
from recordings import dreambeam
assert dreambeam("dream", sys.argv[1], sys.argv[2], "--target", "Dog", "--steps", "1") == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_kilobytes(clips: int, folder: Path) -> int:
    """Run over so many one-second clips in a process of its own; return the most memory that it held."""
    source = folder / "in"
    source.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(clips):
        soundfile.write(source / f"{number}.wav", rng.normal(0, 0.1, 16_000), 16_000)
    return peak_of(AUGMENTED, source, folder / "out")


def peak_of(code: str, source: Path, output: Path) -> int:
    """Run code with a source and an output in a process of its own; return the most memory that it held."""
    command = [sys.executable, "-c", code, str(source), str(output)]
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'tests' / 'support'}"}
    run = subprocess.run(command, capture_output=True, check=True, text=True, env=environment)
    return int(run.stdout.splitlines()[-1])


def test_five_times_as_many_clips_take_no_more_memory_than_a_tenth(tmp_path: Path) -> None:
    # both fill several batches; the same holds for 2 000 against 20 000 clips, which takes minutes
    few, many = (peak_kilobytes(count, tmp_path / str(count)) for count in (160, 800))
    assert many < 1.1 * few


def test_a_file_three_times_as_long_is_dreamed_in_no_more_memory(tmp_path: Path) -> None:
    # one of 2 hours takes as much, and minutes
    peaks, second = [], np.random.default_rng(0).normal(0, 0.1, 8_000)
    for minutes in (6, 18):
        path = tmp_path / f"{minutes}.wav"
        soundfile.write(path, np.tile(second, 60 * minutes), 8_000)
        peaks.append(peak_of(DREAMED, path, path.with_name(f"{minutes} dreamed.wav")))
    assert peaks[1] < 1.1 * peaks[0]
