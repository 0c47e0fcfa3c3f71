"""``dreambeam dream``: one file in, one file out."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from augment import draws, targets
from augment.ascent import Dreamer, pad_batch
from augment.dreaming import Dreamed, Sound, dream_batch, read_target
from augment.models import AudioModel
from augment.picture import draw_dream
from augment.recipe import Recipe
from augment.starts import without_clip
from pipelines.clips import ClipError
from pipelines.config import ConfigError, load_config
from pipelines.files import check_picture, check_writable, read_sound, write_sound
from pipelines.through import shared_model, specs_of
from pipelines.worker import load_sound

MAX_SECONDS = 300
"""The whole file is dreamed at once; a longer one would not fit in memory."""


def run(
    source: str | None,
    output: str,
    target: str,
    settings: Mapping[str, Any],
    changes: Sequence[str],
    picture: str | None,
    seed: int,
    weights: str | None,
    *,
    model: Any = None,
    seconds: float | None = None,
    overwrite: bool = False,
) -> int:
    """Dream the file, or so many seconds of what the recipe starts from, write it and say what became of it."""
    given = [
        f"recipe.{key}={json.dumps(value, ensure_ascii=False)}" for key, value in settings.items() if value is not None
    ]
    given += [f"model={json.dumps(model, ensure_ascii=False)}"] if model else []
    other = [change for change in changes if not change.startswith(("recipe.", "model."))]
    if other:
        raise ConfigError(f"dream takes --set recipe.KEY=VALUE or model.KEY=VALUE only, got {other[0]!r}")
    config = load_config(None, [*given, *changes])
    recipe = config.recipe
    if source and Path(output).exists() and Path(source).exists() and Path(output).samefile(source):
        raise ClipError(f"{output!r} is the input itself: give another name to write to", "write")
    check_writable(output, overwrite=overwrite)
    if picture:
        check_picture(picture)
    number = draws.draw(seed, "", 0, "start")
    clip = read_sound(source, MAX_SECONDS) if source else None
    through = shared_model(weights, specs_of(config.model))
    if clip is None:
        recipe, sound = _without_source(recipe, seconds or 0.0, number, through.sample_rate)
    else:
        sound = Sound(clip.waveform, clip.ref.sample_rate, through.sample_rate)
    dreamed = _dream(through, recipe, sound, target, seed, number)
    write_sound(output, dreamed.waveform, sound.sample_rate)
    if picture:
        draw_dream(picture, sound.waveform, dreamed.waveform, sound.sample_rate, _title(dreamed, recipe.transform))
    _report(output, dreamed, list(through.classes.names))
    return 0


def _without_source(recipe: Recipe, seconds: float, number: int, sample_rate: int) -> tuple[Recipe, Sound]:
    """Return what the recipe starts from as the sound itself, and the recipe that takes it so."""
    sound = Sound(without_clip(recipe.start, seconds, sample_rate, number), sample_rate, sample_rate)
    return Recipe.model_validate({**recipe.model_dump(), "start": "clip"}), sound


def _dream(model: AudioModel, recipe: Recipe, sound: Sound, target: str, seed: int, number: int) -> Dreamed:
    policy, classes = read_target(target, model.classes)
    like = load_sound(recipe.sound, model.sample_rate).heard if recipe.sound else None
    dreamer = Dreamer(model, recipe, like)
    before = model.scores(*pad_batch([sound.heard], model))
    known = targets.Situation(
        before[0],
        classes,
        draws.draw(seed, "", 0, "target"),
        sound=None if like is None else int(np.argmax(model.clip_scores(like))),
    )
    aim = targets.POLICIES[policy](known)
    words = f"{'away from' if aim.away else 'toward'} {model.classes[aim.classes[0]].name}"
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(words, total=recipe.steps)
        return dream_batch(
            dreamer, [sound], before, [aim], on_step=lambda steps: bar.advance(task, steps), numbers=[number]
        )[0]


def _title(dreamed: Dreamed, transform: str) -> str:
    return f"{transform} {_way(dreamed)}, SNR {dreamed.snr_db:.1f} dB"


def _way(dreamed: Dreamed) -> str:
    more = f" and {len(dreamed.aim.classes) - 1} more" if len(dreamed.aim.classes) > 1 else ""
    return f"{'away from' if dreamed.aim.away else 'toward'} {dreamed.target.name}{more}"


def _report(output: str, dreamed: Dreamed, names: list[str]) -> None:
    own = list(dreamed.aim.classes)
    distance = dreamed.distance
    louder = distance.lufs_change - distance.lufs_before
    change = f"{louder:+.1f} LU" if math.isfinite(louder) else "none" if not distance.lufs_change > -math.inf else "all"
    print(
        f"{output}: {_way(dreamed)}: score {dreamed.scores_before[own].max():.3f} -> "
        f"{dreamed.scores_after[own].max():.3f}, rank {dreamed.aim.rank(dreamed.scores_after)} of {len(names)}, "
        f"{len(dreamed.objectives)} steps, SNR {dreamed.snr_db:.1f} dB, "
        f"change {change}"
    )
    for word, scores in (("before", dreamed.scores_before), ("after", dreamed.scores_after)):
        best = np.argsort(-scores, kind="stable")[:3]
        print(f"  {word + ':':8}" + ", ".join(f"{names[i]} {scores[i]:.2f}" for i in best))
