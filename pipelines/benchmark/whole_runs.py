"""Whole runs that are timed: from files to a dataset, by several processes, and the same dreams by the naive loop."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from augment.ascent.loop import Dreamer, pad_batch
from augment.models.yamnet import DreamingModel
from augment.recipes.recipe import Recipe
from augment.sound.samples import SAMPLE_RATE
from pipelines.benchmark import naive
from pipelines.benchmark.timing import SECONDS, Row, noise, write_files
from pipelines.config.run_config import RunConfig
from pipelines.run.augmentation import augment_dataset


def pipeline(
    model: DreamingModel, folder: Path, weights: str | None, clips: int, rounds: int, step_counts: Sequence[int]
) -> list[Row]:
    """Run whole augmentations, from files to a published dataset, beside the arithmetic that bounds them.

    The bound is the plain gradient for every step and two scorings, in batches of 64, measured before and after each
    run; of several runs, the median ratio counts. Start-up, the time of a run over one file, is subtracted; the first
    such run also compiles the recipe.
    """
    inputs = folder / "pipeline"
    write_files(inputs, clips, SAMPLE_RATE)
    rows = []
    for steps in step_counts:
        config = RunConfig.model_validate(
            {"recipe": {"steps": steps, "hold": None}, "include_original": False, "weights": weights}
        )

        def run(given: Path, name: str, config: RunConfig = config) -> float:
            start = time.perf_counter()
            augment_dataset([str(given)], str(folder / name), config)
            return time.perf_counter() - start

        cold, warm = (run(inputs / "0000.wav", f"{name}-{steps}") for name in ("cold", "warm"))
        found = []
        bounds = [_seconds_of_arithmetic(model, steps)]
        for number in range(rounds):
            seconds = run(inputs, f"dreamed-{steps}-{number}") - warm
            bounds.append(_seconds_of_arithmetic(model, steps))
            bounded = 1 / statistics.mean(bounds[-2:])
            figure = (clips - 1) * SECONDS / seconds
            found.append((figure / bounded, figure, bounded))
        ratio, figure, bounded = sorted(found)[len(found) // 2]
        against = f"the arithmetic of {steps} steps"
        rows.append(Row("pipeline", against, bounded, "audio s / s"))
        rows.append(Row("pipeline", f"{clips} files, {steps} steps", figure, "audio s / s", against, ratio))
        rows.append(Row("pipeline", f"one file before them, {steps} steps", cold, "s"))
        rows.append(Row("pipeline", f"one file again, {steps} steps", warm, "s"))
    return rows


def _seconds_of_arithmetic(model: DreamingModel, steps: int) -> float:
    """Return the seconds that the plain gradients of all steps and two scorings take, for an audio second."""
    waveforms, lengths = pad_batch(noise(64))
    plain, targets, tensor = naive.plain_gradient(model), tf.range(64), tf.constant(waveforms)
    total = 0.0
    for go, times in ((lambda: plain(tensor, targets).numpy(), steps), (lambda: model.scores(waveforms, lengths), 2)):
        go()
        start = time.perf_counter()
        for _ in range(4):
            go()
        total += (time.perf_counter() - start) / 4 * times
    return total / (64 * SECONDS)


def processes(folder: Path, weights: str | None, clips: int) -> list[Row]:
    """Run the same augmentation by one worker process and by two, each with its share of the threads.

    A run over one file is subtracted: the start of the processes, their models and the compilation.
    """
    inputs = folder / "processes"
    paths = write_files(inputs, clips, SAMPLE_RATE)
    config = RunConfig.model_validate(
        {"recipe": {"steps": 10, "hold": None}, "include_original": False, "batch_size": 16, "weights": weights}
    )
    rows: list[Row] = []
    for count in (1, 2):
        flags = ["--direct_running_mode=multi_processing", f"--direct_num_workers={count}"]
        taken = []
        for name, given in (("first", paths[0]), ("all", inputs)):
            start = time.perf_counter()
            augment_dataset([str(given)], str(folder / f"by-{count}-{name}"), config, beam_args=flags)
            taken.append(time.perf_counter() - start)
        figure = (clips - 1) * SECONDS / (taken[1] - taken[0])
        base = rows[0] if rows else None
        name = f"{count} process{'es' if count > 1 else ''}, 10 steps"
        rows.append(Row("processes", name, figure, "audio s / s", base and base.name, base and figure / base.figure))
    return rows


def against_naive(model: DreamingModel, clips: Sequence[np.ndarray], steps: Sequence[int]) -> list[Row]:
    """Dream the same clips toward the same classes by the naive loop, and by dreambeam, exactly and fast.

    Args:
        model: that the clips are dreamed with.
        clips: float32 [samples at 16 kHz], of one length.
        steps: gradient steps, one measurement each; dreambeam stops where the targets lead, and once takes all steps.
    """
    targets = [int(value) for value in np.random.default_rng(0).integers(0, len(model.classes), len(clips))]
    few = clips[: max(1, len(clips) // 8)]  # one by one: a part of them shows the speed
    rows = []
    for most in steps:
        for function in naive.FUNCTIONS:
            naive.dream(model, clips[:1], targets[:1], function=function, steps=1)
            start = time.perf_counter()
            naive.dream(model, few, targets[: len(few)], function=function, steps=most)
            figure = sum(map(len, few)) / SAMPLE_RATE / (time.perf_counter() - start)
            base = f"naive {function}, {most} steps"
            rows.append(Row("against naive", base, figure, "audio s / s"))
            for name, settings in {
                "all of them": {"hold": None},
                "until they lead": {},
                "fast, all of them": {"hold": None, "arithmetic": "fast"},
                "fast, until they lead": {"arithmetic": "fast"},
            }.items():
                dreamer = Dreamer(model, Recipe.model_validate({"transform": function, "steps": most, **settings}))
                dreamer(*pad_batch(clips[:1]), targets[:1])
                start = time.perf_counter()
                dreamer(*pad_batch(clips), targets)
                own = sum(map(len, clips)) / SAMPLE_RATE / (time.perf_counter() - start)
                rows.append(
                    Row("against naive", f"{function}, {most} steps, {name}", own, "audio s / s", base, own / figure)
                )
    return rows
