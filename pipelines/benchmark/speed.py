"""What ``dreambeam benchmark`` measures: the machine, YAMNet's gradient, each part of the work, the whole pipeline.

Most figures are audio seconds times gradient steps a second, or audio seconds a second.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from augment.ascent.loop import pad_batch
from augment.models.yamnet import DreamingModel
from pipelines.benchmark import naive
from pipelines.benchmark.timed_parts import BATCHES, QUICK_STEPS, gradients, kinds_of_steps, machine, parts
from pipelines.benchmark.timing import CLIPS, STEPS, Row, Say, noise, timed
from pipelines.benchmark.whole_runs import pipeline, processes

PIPELINE_STEPS = (10, 50)
QUICK_CLIPS = 8


def measure(
    model: DreamingModel, *, rounds: int, weights: str | None, clips: int, say: Say, quick: bool = False
) -> Iterator[list[Row]]:
    """Measure everything, or quickly the most important; give the rows of each part as they come."""

    def saying(what: str) -> Say:
        return lambda more: say(f"{what}, {more}")

    with tempfile.TemporaryDirectory(prefix="dreambeam-") as given:
        folder = Path(given)
        yield timed(machine(), rounds, saying("matrix products"))
        yield timed(gradients(model, quick=quick), rounds, saying("gradients and steps"))
        if quick:
            say("the pipeline")
            yield pipeline(model, folder, weights, min(clips, QUICK_CLIPS), 1, PIPELINE_STEPS[:1])
            return
        yield timed(parts(model, folder), rounds, saying("decoding, scoring, writing"))
        say("the pipeline")
        yield pipeline(model, folder, weights, clips, min(rounds, 3), PIPELINE_STEPS)
        say("worker processes")
        yield processes(folder, weights, clips)


def expected_seconds(model: DreamingModel, *, rounds: int, clips: int, quick: bool = False) -> float:
    """Return about how many seconds `measure` takes, by a first look at how long a gradient takes here."""
    kinds = len(QUICK_STEPS) if quick else len(list(kinds_of_steps()))
    batched = CLIPS * (1 + kinds) + (0 if quick else sum(BATCHES))
    timed_steps = (rounds + 1) * STEPS * batched + (0 if quick else (rounds + 1) * 12 * CLIPS)
    runs = [(min(clips, QUICK_CLIPS), 1, PIPELINE_STEPS[:1])] if quick else [(clips, min(rounds, 3), PIPELINE_STEPS)]
    piped = sum((count * times + 64 * 4) * sum(each) for count, times, each in runs)
    return step_seconds(model) * (timed_steps + piped) + (20 if quick else 60)


def step_seconds(model: DreamingModel) -> float:
    """Return about how many seconds a gradient step of one clip takes."""
    plain, waveforms = naive.plain_gradient(model), tf.constant(pad_batch(noise(4))[0])
    plain(waveforms, tf.range(4)).numpy()
    start = time.perf_counter()
    plain(waveforms, tf.range(4)).numpy()
    return (time.perf_counter() - start) / 4
