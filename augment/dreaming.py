"""Dreaming: gradient ascent on batches of clips, by a recipe.

`Dreamer` is the loop on waveforms at 16 kHz; `dream_batch` brings sounds of any sample rate and channel count through
it and says what became of them; `dream` is the short way for one sound.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from augment import budgets, draws, targets, transforms
from augment.classes import AudioClass
from augment.objectives import OBJECTIVES
from augment.recipe import Recipe
from augment.sound import restore, to_model
from augment.stft import StftShape
from augment.updates import UPDATES, Memory
from augment.yamnet import DreamingModel, load_dreaming_model, padded_length, patch_count

MAX_CHANNELS, MAX_PEAK = 64, 100.0
"""More channels are samples the wrong way round; a higher peak is integers that were not scaled."""

OnStep = Callable[[int], None]
"""Called after each gradient step with the number of clips that it moved."""


@dataclass(frozen=True)
class Sound:
    """A sound as it came.

    Attributes:
        waveform: float32 [samples, channels], full scale is 1.
        sample_rate: Hz.
        heard: float32 [samples at 16 kHz], what YAMNet hears of it.
    """

    waveform: np.ndarray
    sample_rate: int
    heard: np.ndarray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "heard", to_model(self.waveform, self.sample_rate))


@dataclass(frozen=True)
class Dreamed:
    """What became of one clip.

    Attributes:
        waveform: float32 [samples, channels] at the source's own sample rate.
        target: the class that it was dreamed toward.
        scores_before: float32 [classes], of the source.
        scores_after: float32 [classes], of the dreamed waveform, heard anew.
        objectives: float32 [steps], the objective before each step.
        snr_db: of the waveform against its source, infinite where nothing changed.
        reached: the target is the top class of scores_after.
    """

    waveform: np.ndarray
    target: AudioClass
    scores_before: np.ndarray
    scores_after: np.ndarray
    objectives: np.ndarray
    snr_db: float
    reached: bool


def pad_batch(heard: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Stack clips [samples] of one padded length (`padded_length`) as float32 [batch, samples], and their lengths.

    Raises:
        ValueError: the clips are of different padded lengths.
    """
    lengths = np.array([len(clip) for clip in heard], np.int32)
    padded = {padded_length(int(length)) for length in lengths}
    if len(padded) != 1:
        raise ValueError(f"clips of one batch must share a padded length, got {sorted(padded)} samples")
    batch = np.zeros((len(heard), padded.pop()), np.float32)
    for row, clip in zip(batch, heard, strict=True):
        row[: len(clip)] = clip
    return batch, lengths


class Dreamer:
    """Gradient ascent through a model by one recipe; compiled once, for every batch shape."""

    def __init__(self, model: DreamingModel, recipe: Recipe, sound: np.ndarray | None = None):
        """Prepare the ascent.

        Args:
            model: what is dreamed through.
            recipe: how.
            sound: the target sound of `target_filter`, float32 [samples] at 16 kHz.

        Raises:
            ValueError: the transform needs a target sound and there is none, or it is empty.
        """
        self.model = model
        self.recipe = recipe
        self.transform = transforms.TRANSFORMS[recipe.transform]
        if self.transform.needs_sound and (sound is None or not len(sound)):
            raise ValueError(f"{recipe.transform} needs a target sound that is not empty")
        self._sound = sound
        self._shape = StftShape(recipe.frame_length, recipe.hop)
        waveforms, row = tf.TensorSpec([None, None]), tf.TensorSpec([None])
        indices = tf.TensorSpec([None], tf.int32)
        self._step = tf.function(  # one trace serves all shapes
            self._take_step,
            input_signature=[
                *(waveforms, (waveforms, waveforms), tf.TensorSpec([]), waveforms),
                *(indices, indices, indices, row, tf.TensorSpec([1, None, None])),
            ],
        )

    def __call__(
        self, waveforms: np.ndarray, lengths: np.ndarray, target_indices: np.ndarray, on_step: OnStep | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Dream a batch.

        Args:
            waveforms: float32 [batch, samples] at 16 kHz, zero beyond each clip's length (`pad_batch`).
            lengths: int [batch], samples of each clip.
            target_indices: int [batch], the class that each clip is dreamed toward.
            on_step: called after each step.

        Returns:
            The dreamed waveforms, float32 [batch, samples], and the objective before each step, float32 [steps, batch].
        """
        source = tf.constant(waveforms, tf.float32)
        lengths_ = tf.constant(lengths, tf.int32)
        counts = tf.constant(np.asarray(patch_count(lengths)), tf.int32)
        indices = tf.constant(target_indices, tf.int32)
        rms = transforms.rms(source, lengths_)
        mask = self._sound_mask(waveforms.shape[1])
        x, objectives = source, []
        memory = (tf.zeros_like(source), tf.zeros_like(source))
        for number in range(1, self.recipe.steps + 1):
            x, memory, objective = self._step(
                x, memory, tf.constant(number, tf.float32), source, lengths_, counts, indices, rms, mask
            )
            objectives.append(objective)
            if on_step:
                objective.numpy()  # wait for the step: progress tells of work done
                on_step(len(waveforms))
        trace = np.stack([o.numpy() for o in objectives]) if objectives else np.zeros((0, len(waveforms)), np.float32)
        return x.numpy(), trace

    def _take_step(
        self,
        x: tf.Tensor,
        memory: Memory,
        number: tf.Tensor,
        source: tf.Tensor,
        lengths: tf.Tensor,
        counts: tf.Tensor,
        target_indices: tf.Tensor,
        rms: tf.Tensor,
        mask: tf.Tensor,
    ) -> tuple[tf.Tensor, Memory, tf.Tensor]:
        recipe = self.recipe
        with tf.GradientTape() as tape:
            tape.watch(x)
            objective = OBJECTIVES[recipe.objective](self.model.logits(x), counts, target_indices)
        inside = tf.sequence_mask(lengths, tf.shape(x)[1], dtype=x.dtype)
        g = transforms.normalise(tape.gradient(objective, x) * inside, lengths)
        if self.transform.adds:
            g, memory = UPDATES[recipe.update](g, memory, number, lambda v: transforms.normalise(v, lengths))
        eta = self._eta(number, rms)
        y = self.transform.apply(x, g * inside, self._settings(eta[:, None], mask)) * inside
        if self.transform.adds:
            if recipe.snr_db is not None:
                y = budgets.within_snr(y, source, recipe.snr_db, rms, transforms.rms(y - source, lengths))
            y = budgets.within_peak(y, source, recipe.peak)
        return y, memory, objective

    def _eta(self, number: tf.Tensor, rms: tf.Tensor) -> tf.Tensor:
        """Return the size [batch] of the numbered step, in the waveform's units."""
        recipe = self.recipe
        fall = 0.9 * (number - 1) / max(1, recipe.steps - 1) if recipe.schedule == "linear" else 0.0
        unit = {"clip_rms": rms, "full_scale": tf.ones_like(rms)}
        if recipe.snr_db is not None:
            unit["budget"] = rms * 10 ** (-recipe.snr_db / 20)
        return recipe.step_size * (1.0 - fall) * unit[recipe.step_unit]

    def _settings(self, eta: tf.Tensor, mask: tf.Tensor | None = None) -> transforms.Step:
        recipe = self.recipe
        return transforms.Step(eta, recipe.threshold, recipe.power, recipe.flip, self._shape, mask)

    def _sound_mask(self, samples: int) -> tf.Tensor:
        if not self.transform.needs_sound or self._sound is None:
            return tf.ones([1, 1, 1])
        return transforms.sound_mask(tf.constant(self._sound, tf.float32), samples, self._settings(tf.ones([1, 1])))


def dream_batch(
    dreamer: Dreamer,
    sounds: Sequence[Sound],
    scores_before: np.ndarray,
    target_indices: Sequence[int],
    on_step: OnStep | None = None,
) -> list[Dreamed]:
    """Dream sounds of one padded length and bring them back to their own sample rates and channels.

    Args:
        dreamer: the ascent.
        sounds: of any sample rate and channel count; their 16 kHz versions share one `padded_length`.
        scores_before: float32 [batch, classes], of the sounds (`DreamingModel.scores`).
        target_indices: [batch], the class that each is dreamed toward.
        on_step: called after each step.

    Returns:
        One for each sound, in their order.
    """
    model = dreamer.model
    waveforms, lengths = pad_batch([sound.heard for sound in sounds])
    dreamed, objectives = dreamer(waveforms, lengths, np.asarray(target_indices), on_step)
    outputs = [
        restore(sound.waveform, sound.sample_rate, row[: len(sound.heard)], sound.heard, adds=dreamer.transform.adds)
        for sound, row in zip(sounds, dreamed, strict=True)
    ]
    heard = [to_model(output, sound.sample_rate) for output, sound in zip(outputs, sounds, strict=True)]
    scores_after = model.scores(*pad_batch(heard))
    return [
        Dreamed(
            waveform=output,
            target=model.classes[target],
            scores_before=before,
            scores_after=after,
            objectives=objectives[:, row],
            snr_db=budgets.snr_db(sound.waveform, output),
            reached=int(np.argmax(after)) == target,
        )
        for row, (sound, output, target, before, after) in enumerate(
            zip(sounds, outputs, target_indices, scores_before, scores_after, strict=True)
        )
    ]


def dream(
    waveform: np.ndarray,
    sample_rate: int,
    *,
    target: str | int = "keep",
    recipe: Recipe | None = None,
    seed: int = 0,
    sound: Sound | None = None,
    model: DreamingModel | None = None,
    on_step: OnStep | None = None,
    **settings: Any,
) -> Dreamed:
    """Dream one sound.

    Args:
        waveform: float [samples] or [samples, channels], full scale is 1.
        sample_rate: Hz.
        target: a class by name, MID or index, or a policy: "keep" (the sound's own top class) or "random".
        recipe: how; None is the default recipe.
        seed: of the random draws.
        sound: the target sound, for `target_filter`.
        model: None loads YAMNet, once.
        on_step: called after each step.
        **settings: fields of the recipe to change, such as ``transform="hard_cut_add"`` or ``steps=40``.

    Returns:
        The dream; its waveform has the shape of the sound.

    Raises:
        ClassLookupError: the target names no class, or several.
        ValueError: the waveform is empty or not finite, or a setting is wrong.
        WeightsError: there are no weights.
    """
    if np.asarray(waveform).dtype.kind != "f":
        raise ValueError(f"expected float samples, full scale 1, got {np.asarray(waveform).dtype}")
    given = np.asarray(waveform, np.float32)
    if given.ndim not in (1, 2) or not given.size or not np.isfinite(given).all():
        raise ValueError(f"expected finite samples [samples] or [samples, channels], got shape {given.shape}")
    if given.ndim == 2 and given.shape[1] > MAX_CHANNELS:
        raise ValueError(f"expected [samples, channels] with at most {MAX_CHANNELS} channels, got {given.shape}")
    if np.max(np.abs(given)) > MAX_PEAK or sample_rate <= 0:
        raise ValueError(
            f"expected a peak of about 1 and a sample rate in Hz, got {np.max(np.abs(given)):g}, {sample_rate}"
        )
    values = {**(recipe or Recipe()).model_dump(), **settings}
    if sound is not None:
        values["sound"] = values.get("sound") or "given"
    model = model or _shared_model()
    dreamer = Dreamer(model, Recipe.model_validate(values), sound.heard if sound else None)
    source = Sound(given.reshape(len(given), -1), sample_rate)
    before = model.scores(*pad_batch([source.heard]))
    policy, classes = target_policy(target, model)
    number = draws.draw(seed, "", 0, "target")
    index = targets.POLICIES[policy](before[0], classes, number)
    result = dream_batch(dreamer, [source], before, [index], on_step)[0]
    object.__setattr__(result, "waveform", result.waveform.reshape(given.shape))
    return result


def target_policy(target: str | int, model: DreamingModel) -> tuple[str, list[int]]:
    """Read a target as a user gives it: the name of a policy, or a class by name, MID or index.

    Returns:
        The policy's name and the indices of its classes.

    Raises:
        ClassLookupError: neither a policy nor a class.
    """
    if target in targets.POLICIES and target != "class":
        return str(target), []
    return "class", [model.classes.find(target).index]


@functools.cache
def _shared_model() -> DreamingModel:
    return load_dreaming_model()
