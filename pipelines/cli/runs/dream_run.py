"""One dream of ``dreambeam dream``: a whole file, a long file window by window, or noise."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
from rich.progress import Progress

from augment.ascent.dreaming import Dreamed, Sound, dream_batch
from augment.ascent.loop import Dreamer, pad_batch
from augment.ascent.starts import without_clip
from augment.determinism import draws
from augment.models.interface import AudioModel
from augment.recipes.recipe import Recipe
from augment.sound.distance import Distance
from augment.sound.picture import draw_dream
from augment.targets import policies
from augment.targets.policies import Aim
from augment.targets.target_names import read_target
from pipelines.cli.ending import DONE
from pipelines.cli.watch import bar
from pipelines.clips.clips import decode
from pipelines.clips.references import ClipRef
from pipelines.clips.whole_files import find_sound, first_seconds, write_sound
from pipelines.config.run_config import RunConfig
from pipelines.worker.dreamers import load_sound
from pipelines.worker.long_files import check_room, dream_file, score_file, toward
from pipelines.worker.run_model import shared_model, specs_of

WHOLE_SECONDS = 300
"""Longer files are dreamed in windows (`pipelines.worker.long_files`): a whole one would not fit in memory."""

PICTURE_SECONDS = 60
"""How much of a long file its picture shows."""


def run(
    source: str | None,
    output: str,
    target: str,
    config: RunConfig,
    picture: str | None,
    seed: int,
    weights: str | None,
    *,
    seconds: float | None = None,
) -> int:
    """Dream the file, or seconds of the recipe's start, write it and print the scores.

    `pipelines.cli.preflight.check_dream` has checked the paths.
    """
    recipe = config.recipe
    number = draws.draw(seed, "", 0, "start")
    ref = find_sound(source) if source else None
    clip = decode(ref) if ref and ref.stop <= WHOLE_SECONDS * ref.sample_rate else None
    model = shared_model(weights, specs_of(config.model))
    if ref and not clip:
        _dream_long(model, recipe, ref, target, output, picture, seed, number)
        return DONE
    if clip:
        sound = Sound(clip.waveform, clip.ref.sample_rate, model.sample_rate)
    else:
        waveform = without_clip(recipe.start, seconds or 0.0, model.sample_rate, number)
        sound = Sound(waveform, model.sample_rate, model.sample_rate)
        recipe = _from_clip(recipe)
    dreamed = _dream(model, recipe, sound, target, seed, number)
    write_sound(output, dreamed.waveform, sound.sample_rate)
    aim, distance = dreamed.aim, dreamed.distance
    if picture:
        title = _title(recipe, model, aim, distance)
        draw_dream(picture, sound.waveform, dreamed.waveform, sound.sample_rate, title)
    steps = f"{len(dreamed.objectives)} steps"
    _report(output, model, aim, dreamed.scores_before, dreamed.scores_after, steps, distance)
    return DONE


def _from_clip(recipe: Recipe) -> Recipe:
    """Return the recipe for a sound that is its own start."""
    return Recipe.model_validate({**recipe.model_dump(), "start": "clip"})


def _dream(model: AudioModel, recipe: Recipe, sound: Sound, target: str, seed: int, number: int) -> Dreamed:
    like = load_sound(recipe.sound, model.sample_rate).model_input if recipe.sound else None
    dreamer = Dreamer(model, recipe, like)
    before = model.scores(*pad_batch([sound.model_input], model))
    aim = _choose(model, target, before[0], like, seed)
    with bar() as shown:
        on_step = _stage(shown, toward(aim, model), recipe.steps)
        return dream_batch(dreamer, [sound], before, [aim], on_step, numbers=[number])[0]


def _dream_long(
    model: AudioModel,
    recipe: Recipe,
    ref: ClipRef,
    target: str,
    output: str,
    picture: str | None,
    seed: int,
    number: int,
) -> None:
    """Dream a file window by window, write it and print the scores."""
    like = load_sound(recipe.sound, model.sample_rate).model_input if recipe.sound else None
    dreamer = Dreamer(model, _from_clip(recipe), like)
    read_target(target, model.classes)  # refuses an unknown target before the whole file is read
    check_room(ref, output, model)
    with bar() as shown:
        stage = functools.partial(_stage, shown)
        before = score_file(ref, model, stage)
        aim = _choose(model, target, before.scores, like, seed)
        made = dream_file(ref, before, output, dreamer, aim, stage, start=recipe.start, number=number)
    least, most = min(made.steps), max(made.steps)
    steps = f"{least if least == most else f'{least} to {most}'} steps in {len(made.steps)} windows"
    _report(output, model, aim, before.scores, made.scores_after, steps, made.distance)
    if picture:
        first, dreamed = (first_seconds(each, PICTURE_SECONDS) for each in (ref, find_sound(output)))
        title = f"{_title(recipe, model, aim, made.distance)} (the first {PICTURE_SECONDS} s)"
        draw_dream(picture, first, dreamed, ref.sample_rate, title)


def _choose(model: AudioModel, target: str, scores: np.ndarray, like: np.ndarray | None, seed: int) -> Aim:
    """Return the target of a sound with these scores."""
    policy, classes = read_target(target, model.classes)
    sound_class = None if like is None else int(np.argmax(model.clip_scores(like)))
    number = draws.draw(seed, "", 0, "target")
    return policies.POLICIES[policy](policies.Situation(scores, classes, number, sound=sound_class))


def _stage(shown: Progress, title: str, total: int) -> Callable[[int], None]:
    """Add a task to a bar; return the function that advances it."""
    task = shown.add_task(title, total=total)
    return lambda done: shown.advance(task, done)


def _title(recipe: Recipe, model: AudioModel, aim: Aim, distance: Distance) -> str:
    return f"{recipe.transform} {_toward(model, aim)}, SNR {distance.snr_db:.1f} dB"


def _toward(model: AudioModel, aim: Aim) -> str:
    more = f" and {len(aim.classes) - 1} more" if len(aim.classes) > 1 else ""
    return f"{toward(aim, model)}{more}"


def _report(
    output: str, model: AudioModel, aim: Aim, before: np.ndarray, after: np.ndarray, steps: str, distance: Distance
) -> None:
    """Print the target's score and rank, the size of the change, and the top classes."""
    own, names = list(aim.classes), model.classes.names
    louder = distance.lufs_change - distance.lufs_before
    change = f"{louder:+.1f} LU" if math.isfinite(louder) else "none" if not distance.lufs_change > -math.inf else "all"
    print(
        f"{output}: {_toward(model, aim)}: score {before[own].max():.3f} -> {after[own].max():.3f}, "
        f"rank {aim.rank(after)} of {len(names)}, {steps}, SNR {distance.snr_db:.1f} dB, change {change}"
    )
    for word, scores in (("before", before), ("after", after)):
        best = np.argsort(-scores, kind="stable")[:3]
        print(f"  {word + ':':8}" + ", ".join(f"{names[i]} {scores[i]:.2f}" for i in best))
