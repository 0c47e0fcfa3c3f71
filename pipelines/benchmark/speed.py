"""What ``dreambeam benchmark`` measures: the machine, YAMNet's gradient, each part of the work, the whole pipeline.

All figures of a run are taken in turn, round by round, so that a machine whose speed drifts still gives honest ratios;
each is held against another one of the same run. Most are audio seconds times gradient steps a second, or audio seconds
a second. The plain gradient is what TensorFlow gives in batches without any of our code (`pipelines.benchmark.naive`).
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import tensorflow as tf

from augment.ascent.dreaming import Sound, dream_batch
from augment.ascent.fast_gradient import EVERY
from augment.ascent.loop import Dreamer, pad_batch
from augment.ascent.recipe import Recipe
from augment.ascent.tables import TRANSFORMS, UPDATES
from augment.models.yamnet import DreamingModel
from augment.sound.samples import SAMPLE_RATE
from pipelines.benchmark import naive
from pipelines.clips.clips import decode, segments
from pipelines.clips.references import SoundFileRef
from pipelines.config.run_config import RunConfig
from pipelines.dataset.records import Encoder, Labelling, Record
from pipelines.dataset.schema import Vocabulary
from pipelines.dataset.scratch import SpillWriter
from pipelines.run.augmentation import augment_dataset

CLIPS, SECONDS, STEPS = 32, 5, 8
BATCHES = (1, 4, 16, 32, 64)
PIPELINE_STEPS = (10, 50)
FILE_RATE = 44_100
_MATRIX = 2048
_BASE, _UNIT = "plain gradient", "audio s × steps / s"
QUICK_STEPS = ("deep_dream", "fast")
QUICK_CLIPS = 8


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        part: of the table.
        name: what was measured.
        figure: how fast.
        unit: of the figure.
        against: what it is compared with, None for the first of its kind.
        ratio: how many times as fast as that.
    """

    part: str
    name: str
    figure: float
    unit: str
    against: str | None = None
    ratio: float | None = None


@dataclass(frozen=True)
class Work:
    """Something that is timed: `amount` of `unit` each time it is done."""

    part: str
    name: str
    go: Callable[[], Any]
    amount: float
    unit: str
    against: str | None


Say = Callable[[str], Any]
"""Is told what is being measured."""


def timed(work: Sequence[Work], rounds: int, say: Say = lambda _: None) -> list[Row]:
    """Do all of the work in turn, in rounds; return the median figures and ratios."""
    say("warming up")
    for each in work:
        each.go()  # traces and warms up
    times: dict[str, list[float]] = {each.name: [] for each in work}
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        for each in work:
            start = time.perf_counter()
            each.go()
            times[each.name].append(time.perf_counter() - start)
    amounts = {each.name: each.amount for each in work}
    rows = []
    for each in work:
        ratio = None
        if each.against is not None:
            pairs = zip(times[each.against], times[each.name], strict=True)
            ratio = statistics.median(other / own for other, own in pairs) * each.amount / amounts[each.against]
        figure = each.amount / statistics.median(times[each.name])
        rows.append(Row(each.part, each.name, figure, each.unit, each.against, ratio))
    return rows


def machine() -> list[Work]:
    """Return matrix products of this machine."""
    values = np.random.default_rng(0).normal(size=(_MATRIX, _MATRIX))
    work = []
    for kind, against in ((tf.float32, None), (tf.bfloat16, "float32")):
        matrix = tf.constant(values, kind)
        multiply = tf.function(lambda matrix=matrix: tf.matmul(matrix, matrix))
        amount = 2 * _MATRIX**3 / 1e9
        work.append(
            Work("matrix products", kind.name, lambda go=multiply: go()[0, 0].numpy(), amount, "GFLOP/s", against)
        )
    return work


def step_work(
    model: DreamingModel, part: str, name: str, settings: dict[str, Any], against: str | None, count: int = CLIPS
) -> Work:
    """Return steps of a recipe on a batch of clips."""
    clips = noise(count)
    recipe = Recipe.model_validate({"steps": STEPS, "hold": None, "keep": "last", **settings})
    dreamer = Dreamer(model, recipe, clips[0])
    waveforms, lengths = pad_batch(clips)
    amount = count * SECONDS * recipe.steps
    return Work(part, name, lambda: dreamer(waveforms, lengths, range(count)), amount, _UNIT, against)


def gradients(model: DreamingModel, *, quick: bool = False) -> list[Work]:
    """Return the plain gradient, alone and by batch size, and every kind of step; quickly, the default and fast."""
    clips = noise(max(BATCHES))
    plain = naive.plain_gradient(model)

    def raw(count: int) -> Callable[[], Any]:
        waveforms = tf.constant(pad_batch(clips[:count])[0])
        return lambda: [plain(waveforms, tf.range(count)) for _ in range(STEPS)][-1].numpy()

    work = [Work("gradient", _BASE, raw(CLIPS), CLIPS * SECONDS * STEPS, _UNIT, None)]
    sizes = () if quick else BATCHES
    work += [Work("gradient", f"batches of {each}", raw(each), each * SECONDS * STEPS, _UNIT, _BASE) for each in sizes]
    for part, name, settings in kinds_of_steps():
        if not quick or name in QUICK_STEPS:
            work.append(step_work(model, part, name, settings, _BASE))
    return work


def kinds_of_steps() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Give part, name and recipe of each transform, each update rule and the fast arithmetic."""
    for name, transform in TRANSFORMS.items():
        yield "one step of", name, {"transform": name, "sound": "given" if transform.needs_sound else None}
    for name in UPDATES:
        yield "deep_dream by", name, {"update": name}
    yield "arithmetic", "fast", {"arithmetic": "fast", "steps": EVERY}


def parts(model: DreamingModel, folder: Path) -> list[Work]:
    """Return decoding, resampling, scoring, encoding and writing, each alone, beside ten steps of dreaming."""
    clips = noise(CLIPS)
    paths = write_files(folder / "parts", CLIPS, FILE_RATE)
    refs = [ref for path in paths for ref in segments(SoundFileRef(path.name, str(path), ()), segment_seconds=None)]
    decoded = [decode(ref) for ref in refs]
    waveforms, lengths = pad_batch(clips)
    recipe = Recipe.model_validate({"hold": None, "steps": 10})
    sounds = [Sound(clip.waveform, FILE_RATE) for clip in decoded]
    scores = model.scores(*pad_batch([sound.model_input for sound in sounds]))
    dreamer = Dreamer(model, recipe)
    dreams = dream_batch(Dreamer(model, recipe.model_copy(update={"steps": 1})), sounds, scores, range(CLIPS))
    encoder = Encoder(Vocabulary((), (1,)), model, 0, Labelling("none", {}), "float32")

    def encode() -> list[Record]:
        pairs = zip(decoded, dreams, strict=True)
        return [encoder.dreamed(clip, dream, "deep_dream", recipe, 0, {}) for clip, dream in pairs]

    records = encode()

    def write() -> None:
        writer = SpillWriter(str(folder / "spill"))
        for record in records:
            writer.append(record)
        writer.close()

    dreaming = "dreaming, 10 steps"
    todo: dict[str, Callable[[], Any]] = {
        dreaming: lambda: dreamer(waveforms, lengths, range(CLIPS)),
        f"decoding ({FILE_RATE} Hz WAV)": lambda: [decode(ref) for ref in refs],
        "resampling to 16 kHz": lambda: [Sound(clip.waveform, FILE_RATE) for clip in decoded],
        "scoring": lambda: model.scores(waveforms, lengths),
        "encoding records": encode,
        "writing records": write,
    }
    amount = CLIPS * SECONDS
    return [
        Work("alone", name, go, amount, "audio s / s", None if name == dreaming else dreaming)
        for name, go in todo.items()
    ]


def pipeline(
    model: DreamingModel, folder: Path, weights: str | None, clips: int, rounds: int, step_counts: Sequence[int]
) -> list[Row]:
    """Run whole augmentations, from files to a published dataset, beside the arithmetic that bounds them.

    The bound is the plain gradient for every step and two scorings, in batches of 64, measured before and after each
    run; of several runs, the median ratio counts. Start-up is told apart and taken off: it is the time of a run over
    one file, of which the first one also compiles the recipe.
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
    """Return the seconds that so many plain gradients and two scorings take, for an audio second."""
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

    A run over one file is taken off: it is the start of the processes, their models and the compilation.
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
        model: what is dreamed through.
        clips: float32 [samples at 16 kHz], of one length.
        steps: of each clip, at most, one after the other: dreambeam's own stop where they lead, once as well as taking
            them all.
    """
    targets = [int(value) for value in np.random.default_rng(0).integers(0, len(model.classes), len(clips))]
    few = clips[: max(1, len(clips) // 8)]  # one by one: a part tells the speed
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


def noise(count: int) -> list[np.ndarray]:
    """Return clips of white noise at 16 kHz."""
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.1, SECONDS * SAMPLE_RATE).astype(np.float32) for _ in range(count)]


def write_files(folder: Path, count: int, sample_rate: int) -> list[Path]:
    """Write WAV files of noise; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    paths = [folder / f"{number:04}.wav" for number in range(count)]
    for path in paths:
        soundfile.write(path, rng.normal(0, 0.1, SECONDS * sample_rate).clip(-1, 1), sample_rate)
    return paths


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
