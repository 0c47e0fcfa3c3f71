"""Files of any length, dreamed in windows: read and written as streams, in memory that does not grow with the file.

The file is read three times. `score_file` finds its scores and its length, and whether all of it can be used, before
the dream begins. `dream_file` dreams window after window (`augment.long_sounds.windows`) into a temporary file beside
the output, which has no name and goes with the process. When the distance of the whole from its source is known, it
brings the dream within the recipe's limits, writes it and scores it again.
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
"""Begins a stage of the work, by its name and its number of units; returns what counts the finished units."""


@dataclass(frozen=True)
class FileScores:
    """The results of reading a file once."""

    frames: int  # that it really has
    scores: np.ndarray  # float32 [classes], the mean over all of its patches
    rms: float  # over all samples and channels


@dataclass(frozen=True)
class LongDream:
    """The result of dreaming a file."""

    scores_after: np.ndarray  # float32 [classes], of the result, scored again
    steps: tuple[int, ...]  # that each window took
    distance: Distance  # of the result from what it started from


def toward(aim: Aim, model: AudioModel) -> str:
    """Return the target of a dream in words."""
    return f"{'away from' if aim.away else 'toward'} {model.classes[aim.classes[0]].name}"


def check_room(ref: ClipRef, output: str, model: AudioModel) -> None:
    """Refuse a file whose result does not fit on the disk, or whose windows are too large, with a `ClipError`.

    This is checked before hours of work.
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


def score_file(ref: ClipRef, model: AudioModel, stage: Stage) -> FileScores:
    """Read a file and score it. Raises `ClipError` if it cannot be used."""
    scores, frames, squares = RunningScores(model, ref.sample_rate), 0, 0.0
    advance = stage("scoring", ref.stop)
    for block in decode_blocks(ref):
        scores.add(block)
        frames += len(block)
        squares += float(np.sum(np.square(block, dtype=np.float64)))
        advance(len(block))
    return FileScores(frames, scores.scores(), math.sqrt(squares / (frames * ref.channels)))


def dream_file(
    ref: ClipRef,
    scored: FileScores,
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
        scored: from `score_file`.
        output: path of the result.
        dreamer: whose recipe starts from the clip.
        aim: of all windows.
        stage: for progress.
        start: what the dream starts from.
        number: the draw of a start that needs one.

    Raises:
        ClipError: the file has changed.
        WriteError: the result cannot be written.
    """
    model, rate, adds = dreamer.model, ref.sample_rate, dreamer.transform.adds
    tiling = tile(scored.frames, rate, model)
    steps: list[int] = []

    def source() -> Iterator[np.ndarray]:
        return starts.stream(start, _unchanged(ref, scored.frames), rate, number, scored.rms)

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
        advance = stage("writing", scored.frames)
        with writing(output, rate, ref.channels, scored.frames) as file:
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
    """Return what brings blocks (source, dreamed) within the limits for the whole."""
    if not dreamer.transform.adds:
        gain = np.float32(1 / max(1.0, found.peak))
        return lambda source, dreamed: dreamed * gain
    share, limit = found.share(dreamer.budget), max(dreamer.budget.peak, found.source_peak)
    if share == 1:
        return lambda source, dreamed: clip(dreamed, limit)
    return lambda source, dreamed: clip(source + share * (dreamed.astype(np.float64) - source), limit)


def _unchanged(ref: ClipRef, frames: int) -> Iterator[np.ndarray]:
    """Read a file again, and check its number of frames."""
    done = 0
    for block in decode_blocks(ref):
        done += len(block)
        yield block
    if done != frames:
        raise ClipError(f"{ref.uri!r} changed while it was dreamed: start again", "read")
