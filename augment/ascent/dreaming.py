"""Dreaming: gradient ascent on batches of clips, by a recipe.

`Dreamer` is the loop on waveforms at 16 kHz; `dream_batch` brings sounds of any sample rate and channel count through
it and back; `dream` is the short way for one sound.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from augment.ascent.loop import Dreamer, OnStep, pad_batch
from augment.determinism import draws
from augment.determinism.arithmetic import warn_if_slower
from augment.models.ensembles import arrived
from augment.models.interface import AudioModel
from augment.models.yamnet import load_dreaming_model
from augment.recipes.recipe import Recipe
from augment.recipes.tables import STARTS
from augment.sound.distance import Distance, distance
from augment.sound.resampling import restore, to_model
from augment.sound.samples import SAMPLE_RATE, check_rate, checked_waveform
from augment.targets import policies
from augment.targets.classes import AudioClass
from augment.targets.policies import Aim, Situation
from augment.targets.target_names import read_target


@dataclass(frozen=True)
class Sound:
    """A sound, and the model's input for it.

    Attributes:
        waveform: float32 [samples, channels], full scale is 1.
        sample_rate: Hz.
        model_rate: Hz of the model.
        cut_input: float32 [samples at model_rate]: of a piece of a longer sound, the piece of the whole sound's input.

    Raises:
        ValueError: the sample rate is out of range.
    """

    waveform: np.ndarray
    sample_rate: int
    model_rate: int = SAMPLE_RATE
    cut_input: np.ndarray | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_rate(self.sample_rate)

    @functools.cached_property
    def model_input(self) -> np.ndarray:
        """The model's input, float32 [samples at model_rate]."""
        return to_model(self.waveform, self.sample_rate, self.model_rate) if self.cut_input is None else self.cut_input


@dataclass(frozen=True)
class Dreamed:
    """What became of one clip.

    Attributes:
        waveform: float32 [samples, channels] at the source's own sample rate.
        aim: what it was dreamed toward, or away from.
        target: the aim's first class.
        scores_before: float32 [classes], of the source.
        scores_after: float32 [classes], of the dreamed waveform.
        objectives: float32 [steps], the objective before each step that it took.
        distance: of the waveform from what it started from.
        reached: the target is the top class of scores_after; away from a class, that has left the top five.
    """

    waveform: np.ndarray
    aim: Aim
    target: AudioClass
    scores_before: np.ndarray
    scores_after: np.ndarray
    objectives: np.ndarray
    distance: Distance
    reached: bool

    @property
    def snr_db(self) -> float:
        """Of the waveform against what it started from; infinite where nothing changed."""
        return self.distance.snr_db


def dream_batch(
    dreamer: Dreamer,
    sounds: Sequence[Sound],
    scores_before: np.ndarray,
    aims: Sequence[Aim | int],
    on_step: OnStep | None = None,
    *,
    numbers: Sequence[int] | None = None,
) -> list[Dreamed]:
    """Dream sounds of one padded length and bring them back to their own sample rates and channels.

    Args:
        dreamer: the ascent.
        sounds: of any sample rate and channel count; their model inputs share one padded length.
        scores_before: float32 [batch, classes], of the sounds (`DreamingModel.scores`).
        aims: [batch], what each is dreamed toward; a number is a class.
        on_step: called after each step.
        numbers: [batch], the draws for starts that need one; None draws as for number 0.

    Returns:
        One for each sound, in their order.
    """
    model = dreamer.model
    kind = dreamer.recipe.start
    starts = [
        sound
        if kind == "clip"
        else replace(sound, cut_input=None, waveform=STARTS[kind](sound.waveform, sound.sample_rate, number))
        for sound, number in zip(sounds, numbers or [0] * len(sounds), strict=True)
    ]
    wanted = [aim if isinstance(aim, Aim) else Aim((int(aim),)) for aim in aims]
    ascent = dreamer(*pad_batch([start.model_input for start in starts], model), wanted, on_step)
    outputs = [_written(dreamer, start, row) for start, row in zip(starts, ascent.waveforms, strict=True)]
    inputs = [
        to_model(output, start.sample_rate, model.sample_rate) for output, start in zip(outputs, starts, strict=True)
    ]
    batch = pad_batch(inputs, model)
    scores_after = model.scores(*batch)
    reached = arrived(model, *batch, wanted, scores_after)
    return [
        Dreamed(
            waveform=output,
            aim=aim,
            target=model.classes[aim.classes[0]],
            scores_before=before,
            scores_after=after,
            objectives=ascent.objectives[: ascent.steps[row], row],
            distance=distance(start.waveform, output, start.sample_rate),
            reached=reached[row],
        )
        for row, (start, output, aim, before, after) in enumerate(
            zip(starts, outputs, wanted, scores_before, scores_after, strict=True)
        )
    ]


def dream_piece(
    dreamer: Dreamer, piece: Sound, aim: Aim, offset: int, on_step: OnStep | None = None
) -> tuple[np.ndarray, int]:
    """Dream a piece of a sound; what becomes of the whole is for the caller to say.

    Args:
        dreamer: the ascent; its recipe starts from the clip.
        piece: of the sound.
        aim: of all its pieces.
        offset: samples at the model's rate from the beginning of the sound to the piece.
        on_step: called after each step.

    Returns:
        Its dream, float32 [samples, channels] at the sound's own rate, within the recipe's limits, but that a dream
        which takes the piece's place may peak above full scale; and the steps that it took.
    """
    ascent = dreamer(*pad_batch([piece.model_input], dreamer.model), [aim], on_step, offsets=[offset])
    return _written(dreamer, piece, ascent.waveforms[0], turn_down=False), int(ascent.steps[0])


def _written(dreamer: Dreamer, start: Sound, dreamed: np.ndarray, *, turn_down: bool = True) -> np.ndarray:
    """Bring a dream [samples at 16 kHz] to its start's sample rate and channels, its limits met exactly there."""
    given = start.waveform, start.sample_rate, dreamed[: len(start.model_input)], start.model_input
    adds = dreamer.transform.adds
    output = restore(*given, adds=adds, model_rate=start.model_rate, turn_down=turn_down)
    return dreamer.budget.settle(start.waveform, output, start.sample_rate) if adds else output


def dream(
    waveform: np.ndarray,
    sample_rate: int,
    *,
    target: str | int = "keep",
    recipe: Recipe | None = None,
    seed: int = 0,
    sound: Sound | None = None,
    model: AudioModel | None = None,
    on_step: OnStep | None = None,
    **settings: Any,
) -> Dreamed:
    """Dream one sound.

    Args:
        waveform: float [samples] or [samples, channels], full scale is 1.
        sample_rate: Hz.
        target: a class by name, MID or index, a branch of the ontology ("Dog/*"), or a policy (`read_target`).
        recipe: how; None is the default recipe.
        seed: of the random draws.
        sound: the target sound, where the recipe or the target uses one.
        model: what is dreamed through (`augment.models.model_kinds`); None loads YAMNet, once.
        on_step: called after each step.
        **settings: fields of the recipe to change, such as ``transform="hard_cut_add"`` or ``steps=40``.

    Returns:
        The dream; its waveform has the shape of the sound.

    Raises:
        ClassLookupError: the target names no class, or several.
        ValueError: the waveform is empty, not finite, not of floats, peaks beyond 1.5 or is the wrong way round, the
            sample rate is none, or a setting is wrong.
        WeightsError: there are no weights.
    """
    given = checked_waveform(waveform)
    check_rate(sample_rate)
    if sound is not None and np.size(sound.waveform):
        checked_waveform(sound.waveform)
    values = {**(recipe or Recipe()).model_dump(exclude_unset=True), **settings}
    if sound is not None:
        values["sound"] = values.get("sound") or "given"
    model = model or _shared_model()
    dreamer = Dreamer(
        model,
        Recipe.model_validate(values),
        to_model(sound.waveform, sound.sample_rate, model.sample_rate) if sound else None,
    )
    source = Sound(given.reshape(len(given), -1), sample_rate, model.sample_rate)
    before = model.scores(*pad_batch([source.model_input], model))
    policy, classes = read_target(target, model.classes)
    known = Situation(before[0], classes, draws.draw(seed, "", 0, "target"), sound=sound and top_class(sound, model))
    aim = policies.POLICIES[policy](known)
    result = dream_batch(dreamer, [source], before, [aim], on_step, numbers=[draws.draw(seed, "", 0, "start")])[0]
    return replace(result, waveform=result.waveform.reshape(given.shape))


def top_class(sound: Sound, model: AudioModel) -> int:
    """Return the model's top class of a sound of any length."""
    return int(np.argmax(model.clip_scores(to_model(sound.waveform, sound.sample_rate, model.sample_rate))))


@functools.cache
def _shared_model() -> AudioModel:
    warn_if_slower()
    return load_dreaming_model()
