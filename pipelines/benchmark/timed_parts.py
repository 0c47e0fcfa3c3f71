"""The parts of the work that are timed alone: matrix products, gradients, steps, decoding, encoding, writing.

The plain gradient is TensorFlow's in batches, without any of our code (`pipelines.benchmark.naive`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from augment.ascent.dreaming import Sound, dream_batch
from augment.ascent.fast_gradient import EVERY
from augment.ascent.loop import Dreamer, pad_batch
from augment.models.yamnet import DreamingModel
from augment.recipes.recipe import Recipe
from augment.recipes.tables import TRANSFORMS, UPDATES
from pipelines.benchmark import naive
from pipelines.benchmark.timing import CLIPS, SECONDS, STEPS, Work, noise, write_files
from pipelines.clips.clips import decode, segments
from pipelines.clips.references import SoundFileRef
from pipelines.dataset.records import Encoder, Labelling, Record
from pipelines.dataset.schema import Vocabulary
from pipelines.dataset.scratch import SpillWriter

BATCHES = (1, 4, 16, 32, 64)
FILE_RATE = 44_100
QUICK_STEPS = ("deep_dream", "fast")
_MATRIX = 2048
_BASE, _UNIT = "plain gradient", "audio s × steps / s"


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
