"""``dreambeam benchmark``: this machine's matrix products, YAMNet's gradient, and each transform against it.

All are measured in turn, round by round, so that a machine whose speed drifts still gives honest ratios. The unit is
audio seconds times gradient steps a second; every row is held against the plain gradient of the same run.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from augment.ascent import Dreamer, pad_batch
from augment.recipe import Recipe
from augment.transforms import TRANSFORMS
from augment.yamnet import SAMPLE_RATE, DreamingModel, load_dreaming_model

CLIPS, SECONDS, STEPS = 32, 5, 4
_MATRIX = 2048


def run(as_json: bool, rounds: int, weights: str | None) -> int:
    """Measure and print."""
    model = load_dreaming_model(weights)
    console = Console()
    with console.status("measuring ...") if not as_json else _nothing():
        rows = measure(model, rounds)
    if as_json:
        print(json.dumps(rows, indent=2))
        return 0
    table = Table(title=f"{CLIPS} clips of {SECONDS} s, float32, median of {rounds} rounds", title_justify="left")
    for heading in ("", "figure", "unit", "of the plain gradient"):
        table.add_column(heading, justify="left" if heading in ("", "unit") else "right")
    for row in rows:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        table.add_row(row["name"], f"{row['figure']:.1f}", row["unit"], ratio)
    console.print(table)
    return 0


def measure(model: DreamingModel, rounds: int) -> list[dict[str, Any]]:
    """Return a row for each thing measured: name, figure, unit, ratio to the plain gradient (None: it has none)."""
    rng = np.random.default_rng(0)
    clips = [rng.normal(0, 0.1, SECONDS * SAMPLE_RATE).astype(np.float32) for _ in range(CLIPS)]
    waveforms, lengths = pad_batch(clips)
    targets = np.arange(CLIPS)
    matrix = tf.constant(rng.normal(size=(_MATRIX, _MATRIX)), tf.float32)
    multiply = tf.function(lambda: tf.matmul(matrix, matrix))
    plain = plain_gradient(model)
    work: dict[str, Callable[[], Any]] = {
        "matrix product": lambda: multiply().numpy(),
        "plain gradient": lambda: [plain(waveforms, targets) for _ in range(STEPS)][-1].numpy(),
    }
    for name in TRANSFORMS:
        settings = {"transform": name, "steps": STEPS, "objective": "score", "hold": None, "keep": "last"}
        recipe = Recipe.model_validate({**settings, "sound": "given" if TRANSFORMS[name].needs_sound else None})
        dreamer = Dreamer(model, recipe, clips[0])
        work[name] = lambda dreamer=dreamer: dreamer(waveforms, lengths, targets)
    times: dict[str, list[float]] = {name: [] for name in work}
    for go in work.values():
        go()  # traces and warms up
    for _ in range(rounds):
        for name, go in work.items():
            start = time.perf_counter()
            go()
            times[name].append(time.perf_counter() - start)
    rows: list[dict[str, Any]] = []
    for name, taken in times.items():
        if name == "matrix product":
            figure = 2 * _MATRIX**3 / statistics.median(taken) / 1e9
            rows.append({"name": name, "figure": figure, "unit": "GFLOP/s", "ratio": None})
            continue
        ratio = statistics.median(base / own for base, own in zip(times["plain gradient"], taken, strict=True))
        figure = CLIPS * SECONDS * STEPS / statistics.median(taken)
        rows.append({"name": name, "figure": figure, "unit": "audio s x steps / s", "ratio": ratio})
    return rows


def plain_gradient(model: DreamingModel) -> Callable[..., Any]:
    """Return what anyone would write in TensorFlow: one traced gradient of the mean scores, without all the rest."""

    @tf.function(input_signature=[tf.TensorSpec([None, None]), tf.TensorSpec([None], tf.int32)])
    def gradient(waveforms: tf.Tensor, targets: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(waveforms)
            scores = tf.reduce_mean(tf.sigmoid(model.logits(waveforms)), axis=1)
            objective = tf.gather(scores, targets, batch_dims=1)
        return tape.gradient(objective, waveforms)

    return gradient


class _nothing:
    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None
