"""``dreambeam dream``: one file in, one file out."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from augment import draws, targets
from augment.dreaming import Dreamed, Dreamer, Sound, dream_batch, pad_batch, target_policy
from augment.picture import draw_dream
from augment.yamnet import load_dreaming_model
from pipelines.clips import ClipError
from pipelines.config import ConfigError, load_config
from pipelines.files import check_picture, check_writable, read_sound, write_sound
from pipelines.worker import load_sound

MAX_SECONDS = 300
"""The whole file is dreamed at once; a longer one would not fit in memory."""


def run(
    source: str,
    output: str,
    target: str,
    settings: Mapping[str, Any],
    changes: Sequence[str],
    picture: str | None,
    seed: int,
    weights: str | None,
) -> int:
    """Dream the file, write the result and say what became of it."""
    given = [
        f"recipe.{key}={json.dumps(value, ensure_ascii=False)}" for key, value in settings.items() if value is not None
    ]
    other = [change for change in changes if not change.startswith("recipe.")]
    if other:
        raise ConfigError(f"dream takes --set recipe.KEY=VALUE only, got {other[0]!r}")
    recipe = load_config(None, [*given, *changes]).recipe
    check_writable(output)
    if Path(output).exists() and Path(source).exists() and Path(output).samefile(source):
        raise ClipError(f"{output!r} is the input itself: give another name to write to", "write")
    if picture:
        check_picture(picture)
    clip = read_sound(source, MAX_SECONDS)
    sound = Sound(clip.waveform, clip.ref.sample_rate)
    model = load_dreaming_model(weights)
    policy, classes = target_policy(target, model)
    dreamer = Dreamer(model, recipe, load_sound(recipe.sound).heard if recipe.sound else None)
    before = model.scores(*pad_batch([sound.heard]))
    index = targets.POLICIES[policy](before[0], classes, draws.draw(seed, "", 0, "target"))
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(f"toward {model.classes[index].name}", total=recipe.steps)
        dreamed = dream_batch(dreamer, [sound], before, [index], on_step=lambda _: bar.advance(task))[0]
    write_sound(output, dreamed.waveform, clip.ref.sample_rate)
    if picture:
        draw_dream(picture, clip.waveform, dreamed.waveform, clip.ref.sample_rate, _title(dreamed, recipe.transform))
    _report(output, dreamed, list(model.classes.names))
    return 0


def _title(dreamed: Dreamed, transform: str) -> str:
    return f"{transform} toward {dreamed.target.name}, SNR {dreamed.snr_db:.1f} dB"


def _report(output: str, dreamed: Dreamed, names: list[str]) -> None:
    index = dreamed.target.index
    rank = int(np.sum(dreamed.scores_after > dreamed.scores_after[index])) + 1
    print(
        f"{output}: toward {dreamed.target.name}: score {dreamed.scores_before[index]:.3f} -> "
        f"{dreamed.scores_after[index]:.3f}, rank {rank} of {len(names)}, SNR {dreamed.snr_db:.1f} dB"
    )
    for word, scores in (("before", dreamed.scores_before), ("after", dreamed.scores_after)):
        best = np.argsort(-scores, kind="stable")[:3]
        print(f"  {word + ':':8}" + ", ".join(f"{names[i]} {scores[i]:.2f}" for i in best))
