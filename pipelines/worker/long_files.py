"""Files of any length, dreamed in windows: read and written as streams, in memory that does not grow with the file.

The file is read three times. `hear` finds its scores, its length and whether all of it can be used, before anything is
dreamed. `dream_file` dreams window after window (`augment.long_sounds.windows`) into a temporary file beside the
output, which has no name and goes with the process; at last, when it is known how far the whole is from its source, it
brings that within the recipe's limits, writes it and hears it anew.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from augment.ascent import starts
from augment.ascent.budgets import clip
from augment.ascent.loop import Dreamer
from augment.long_sounds.streaming_stats import RunningDistance, RunningScores
from augment.long_sounds.windowed_dream import dream_windows
from augment.long_sounds.windows import tile
from augment.models.interface import AudioModel
from augment.sound.distance import Distance
from augment.targets.policies import Aim
from pipelines.clips.clips import decode_blocks
from pipelines.clips.references import ClipRef
from pipelines.clips.whole_files import writing
from pipelines.files.containers import ClipError
from pipelines.files.soundfiles import MAX_DECODED_BYTES

_SAMPLE_BYTES = 4

Stage = Callable[[str, int], Callable[[int], None]]
"""Begins a stage of the work that is called so and has so many units; returns what is told how many are done."""


@dataclass(frozen=True)
class Heard:
    """What is known of a file that has been read once.

    Attributes:
        frames: that it really has.
        scores: float32 [classes], the mean over all of its patches.
        rms: over all samples and channels.
    """

    frames: int
    scores: np.ndarray
    rms: float


@dataclass(frozen=True)
class LongDream:
    """What became of a file.

    Attributes:
        scores_after: float32 [classes], of the result, heard anew.
        steps: that each window took.
        distance: of the result from what it started from.
    """

    scores_after: np.ndarray
    steps: tuple[int, ...]
    distance: Distance


def toward(aim: Aim, model: AudioModel) -> str:
    """Return where a dream goes, in words."""
    return f"{'away from' if aim.away else 'toward'} {model.classes[aim.classes[0]].name}"


def check_room(ref: ClipRef, output: str, model: AudioModel) -> None:
    """Make sure, before hours of work, that its result can be written and its windows be held.

    Raises:
        ClipError: the output's disk has too little room, or a window is too large.
    """
    frame = _SAMPLE_BYTES * ref.channels
    seconds = tile(ref.stop, ref.sample_rate, model).length / ref.sample_rate
    if frame * ref.sample_rate * seconds > MAX_DECODED_BYTES:
        raise ClipError(
            f"{ref.uri!r} has {ref.channels} channels at {ref.sample_rate} Hz, of which {seconds:.0f} s at a time are "
            f"more than {MAX_DECODED_BYTES >> 30} GiB: mix it down or resample it first",
            "validate",
        )
    needed, free = 2 * frame * ref.stop, shutil.disk_usage(Path(output).absolute().parent).free
    if needed > free:
        raise ClipError(
            f"dreaming {ref.uri!r} takes up to {needed / 1e9:.1f} GB of disk beside {output!r}, where "
            f"{free / 1e9:.1f} GB are free: make room, or write elsewhere",
            "write",
        )


def hear(ref: ClipRef, model: AudioModel, stage: Stage) -> Heard:
    """Read a file and score it.

    Raises:
        ClipError: it cannot be used.
    """
    scores, frames, squares = RunningScores(model, ref.sample_rate), 0, 0.0
    advance = stage("listening", ref.stop)
    for block in decode_blocks(ref):
        scores.add(block)
        frames += len(block)
        squares += float(np.sum(np.square(block, dtype=np.float64)))
        advance(len(block))
    return Heard(frames, scores.scores(), math.sqrt(squares / (frames * ref.channels)))


def dream_file(
    ref: ClipRef,
    heard: Heard,
    output: str,
    dreamer: Dreamer,
    aim: Aim,
    stage: Stage,
    *,
    start: str = "clip",
    number: int = 0,
) -> LongDream:
    """Dream a file and write the result.

    Args:
        ref: the file, whole.
        heard: what `hear` found.
        output: path of the result.
        dreamer: whose recipe starts from the clip.
        aim: of all windows.
        stage: for progress.
        start: what the dream starts from.
        number: the draw of a start that needs one.

    Raises:
        ClipError: the file can no longer be read as it was.
        WriteError: the result cannot be written.
    """
    model, rate, adds = dreamer.model, ref.sample_rate, dreamer.transform.adds
    tiling = tile(heard.frames, rate, model)
    steps: list[int] = []

    def source() -> Iterator[np.ndarray]:
        return starts.stream(start, _unchanged(ref, heard.frames), rate, number, heard.rms)

    with tempfile.TemporaryFile(dir=Path(output).absolute().parent) as spill:
        found = RunningDistance(rate, ref.channels, loudness=adds and dreamer.budget.has_loudness)
        advance = stage(toward(aim, model), len(tiling.starts) * dreamer.recipe.steps)
        for given, dreamed, taken in dream_windows(dreamer, aim, source(), rate, tiling, advance):
            spill.write(dreamed.tobytes())
            found.add(given, dreamed)
            steps.append(taken)
        found.finish()
        finish = _finish(dreamer, found)
        spill.seek(0)
        scores, distance = RunningScores(model, rate), RunningDistance(rate, ref.channels)
        advance = stage("writing", heard.frames)
        with writing(output, rate, ref.channels, heard.frames) as file:
            for block in source():
                dreamed = np.frombuffer(spill.read(block.nbytes), np.float32).reshape(block.shape)
                result = finish(block, dreamed)
                file.write(result)
                distance.add(block, result)
                scores.add(result)
                advance(len(block))
    distance.finish()
    return LongDream(scores.scores(), tuple(steps), distance.distance())


def _finish(dreamer: Dreamer, found: RunningDistance) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return what brings blocks (source, dreamed) within the limits that the whole has to keep to."""
    if not dreamer.transform.adds:
        gain = np.float32(1 / max(1.0, found.peak))
        return lambda source, dreamed: dreamed * gain
    share, limit = found.share(dreamer.budget), max(dreamer.budget.peak, found.source_peak)
    if share == 1:
        return lambda source, dreamed: clip(dreamed, limit)
    return lambda source, dreamed: clip(source + share * (dreamed.astype(np.float64) - source), limit)


def _unchanged(ref: ClipRef, frames: int) -> Iterator[np.ndarray]:
    """Read a file again, and insist on so many frames."""
    done = 0
    for block in decode_blocks(ref):
        done += len(block)
        yield block
    if done != frames:
        raise ClipError(f"{ref.uri!r} changed while it was dreamed: start again", "read")
