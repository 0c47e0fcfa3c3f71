"""``dreambeam dream``: one file in, one file out."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.progress import Progress

from augment.ascent.dreaming import Dreamed, Sound, dream_batch
from augment.ascent.loop import Dreamer, pad_batch
from augment.ascent.recipe import Recipe
from augment.ascent.starts import without_clip
from augment.determinism import draws
from augment.models.interface import AudioModel
from augment.sound.distance import Distance
from augment.sound.picture import draw_dream
from augment.targets import policies
from augment.targets.policies import Aim
from augment.targets.target_names import read_target
from pipelines.clips.clips import decode
from pipelines.clips.references import ClipRef
from pipelines.clips.whole_files import find_sound, first_seconds, write_sound
from pipelines.config.run_config import RunConfig
from pipelines.worker.dream_worker import load_sound
from pipelines.worker.long_files import check_room, dream_file, hear, toward
from pipelines.worker.run_model import shared_model, specs_of

WHOLE_SECONDS = 300
"""A longer file is dreamed in windows (`pipelines.worker.long_files`); as a whole it would not fit in memory."""

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
    """Dream the file, or so many seconds of what the recipe starts from, write it and say what became of it.

    `pipelines.cli.preflight.check_dream` has looked at the paths.
    """
    recipe = config.recipe
    number = draws.draw(seed, "", 0, "start")
    ref = find_sound(source) if source else None
    is_long = ref is not None and ref.stop > WHOLE_SECONDS * ref.sample_rate
    clip = decode(ref) if ref and not is_long else None
    through = shared_model(weights, specs_of(config.model))
    if ref and not clip:
        _dream_long(through, recipe, ref, target, output, picture, seed)
        return 0
    if clip is None:
        recipe, sound = _without_source(recipe, seconds or 0.0, number, through.sample_rate)
    else:
        sound = Sound(clip.waveform, clip.ref.sample_rate, through.sample_rate)
    dreamed = _dream(through, recipe, sound, target, seed, number)
    write_sound(output, dreamed.waveform, sound.sample_rate)
    aim, distance = dreamed.aim, dreamed.distance
    if picture:
        title = _title(recipe, through, aim, distance)
        draw_dream(picture, sound.waveform, dreamed.waveform, sound.sample_rate, title)
    steps = f"{len(dreamed.objectives)} steps"
    _report(output, through, aim, dreamed.scores_before, dreamed.scores_after, steps, distance)
    return 0


def _without_source(recipe: Recipe, seconds: float, number: int, sample_rate: int) -> tuple[Recipe, Sound]:
    """Return what the recipe starts from as the sound itself, and the recipe that takes it so."""
    sound = Sound(without_clip(recipe.start, seconds, sample_rate, number), sample_rate, sample_rate)
    return _from_clip(recipe), sound


def _from_clip(recipe: Recipe) -> Recipe:
    return Recipe.model_validate({**recipe.model_dump(), "start": "clip"})


def _dream(model: AudioModel, recipe: Recipe, sound: Sound, target: str, seed: int, number: int) -> Dreamed:
    like = load_sound(recipe.sound, model.sample_rate).heard if recipe.sound else None
    dreamer = Dreamer(model, recipe, like)
    before = model.scores(*pad_batch([sound.heard], model))
    aim = _choose(model, target, before[0], like, seed)
    with _progress() as bar:
        on_step = _stage(bar, toward(aim, model), recipe.steps)
        return dream_batch(dreamer, [sound], before, [aim], on_step, numbers=[number])[0]


def _dream_long(
    model: AudioModel, recipe: Recipe, ref: ClipRef, target: str, output: str, picture: str | None, seed: int
) -> None:
    """Dream a file window by window, write it and say what became of it."""
    like = load_sound(recipe.sound, model.sample_rate).heard if recipe.sound else None
    dreamer = Dreamer(model, _from_clip(recipe), like)
    read_target(target, model.classes)  # that it is one, before the whole file is read
    check_room(ref, output, model)
    start, number = recipe.start, draws.draw(seed, "", 0, "start")
    with _progress() as bar:
        stage = functools.partial(_stage, bar)
        heard = hear(ref, model, stage)
        aim = _choose(model, target, heard.scores, like, seed)
        made = dream_file(ref, heard, output, dreamer, aim, stage, start=start, number=number)
    least, most = min(made.steps), max(made.steps)
    steps = f"{least if least == most else f'{least} to {most}'} steps in {len(made.steps)} windows"
    _report(output, model, aim, heard.scores, made.scores_after, steps, made.distance)
    if picture:
        before, after = (first_seconds(each, PICTURE_SECONDS) for each in (ref, find_sound(output)))
        title = f"{_title(recipe, model, aim, made.distance)} (the first {PICTURE_SECONDS} s)"
        draw_dream(picture, before, after, ref.sample_rate, title)


def _choose(model: AudioModel, target: str, scores: np.ndarray, like: np.ndarray | None, seed: int) -> Aim:
    """Return what a sound of these scores is dreamed toward."""
    policy, classes = read_target(target, model.classes)
    known = policies.Situation(
        scores,
        classes,
        draws.draw(seed, "", 0, "target"),
        sound=None if like is None else int(np.argmax(model.clip_scores(like))),
    )
    return policies.POLICIES[policy](known)


def _progress() -> Progress:
    return Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


def _stage(bar: Progress, words: str, total: int) -> Callable[[int], None]:
    task = bar.add_task(words, total=total)
    return lambda done: bar.advance(task, done)


def _title(recipe: Recipe, model: AudioModel, aim: Aim, distance: Distance) -> str:
    return f"{recipe.transform} {_way(model, aim)}, SNR {distance.snr_db:.1f} dB"


def _way(model: AudioModel, aim: Aim) -> str:
    more = f" and {len(aim.classes) - 1} more" if len(aim.classes) > 1 else ""
    return f"{toward(aim, model)}{more}"


def _report(
    output: str,
    model: AudioModel,
    aim: Aim,
    before: np.ndarray,
    after: np.ndarray,
    steps: str,
    distance: Distance,
) -> None:
    own, names = list(aim.classes), model.classes.names
    louder = distance.lufs_change - distance.lufs_before
    change = f"{louder:+.1f} LU" if math.isfinite(louder) else "none" if not distance.lufs_change > -math.inf else "all"
    print(
        f"{output}: {_way(model, aim)}: score {before[own].max():.3f} -> {after[own].max():.3f}, "
        f"rank {aim.rank(after)} of {len(names)}, {steps}, SNR {distance.snr_db:.1f} dB, change {change}"
    )
    for word, scores in (("before", before), ("after", after)):
        best = np.argsort(-scores, kind="stable")[:3]
        print(f"  {word + ':':8}" + ", ".join(f"{names[i]} {scores[i]:.2f}" for i in best))
