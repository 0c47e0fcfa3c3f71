"""The ascent: gradient steps on a batch of waveforms at the model's sample rate, by a recipe.

A clip that has arrived leaves the batch: the others go on faster, and end where they would have ended anyway.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from augment.ascent.gradient_step import Clips, GradientStep, Shared, State
from augment.ascent.model_view import dither
from augment.models.interface import AudioModel
from augment.models.yamnet import padded_length
from augment.recipes.recipe import Recipe
from augment.targets.policies import Aim, aim_rows

OnStep = Callable[[int], None]
"""Called after each gradient step with how many steps of clips it has brought nearer to the end: one for each clip that
it moved, and all that are left of a clip that has arrived."""

_one_at_a_time = threading.Lock()
"""An ascent uses all cores; two at once would only need twice the memory."""


def pad_batch(clips: Sequence[np.ndarray], model: AudioModel | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Stack clips [samples] of one padded length as float32 [batch, samples], and their lengths.

    Args:
        clips: the models' inputs.
        model: whose padded length; None is YAMNet.

    Raises:
        ValueError: the clips are of different padded lengths.
    """
    lengths = np.array([len(clip) for clip in clips], np.int32)
    fit = model.padded_length if model else padded_length
    padded = {fit(int(length)) for length in lengths}
    if len(padded) != 1:
        raise ValueError(f"clips of one batch must share a padded length, got {sorted(padded)} samples")
    batch = np.zeros((len(clips), padded.pop()), np.float32)
    for row, clip in zip(batch, clips, strict=True):
        row[: len(clip)] = clip
    return batch, lengths


class Ascent(NamedTuple):
    """What became of a batch.

    Attributes:
        waveforms: float32 [batch, samples].
        objectives: float32 [steps, batch], the objective before each step; NaN where a clip took none.
        steps: int [batch], that each clip took.
    """

    waveforms: np.ndarray
    objectives: np.ndarray
    steps: np.ndarray


class Dreamer:
    """Gradient ascent through a model by one recipe; compiled once, for every batch shape.

    Attributes:
        model: what is dreamed through.
        recipe: how.
        transform: of the recipe.
        budget: of the recipe.
    """

    def __init__(
        self, model: AudioModel, recipe: Recipe, sound: np.ndarray | None = None, *, products: str | None = None
    ):
        """Prepare the ascent.

        Args:
            model: what is dreamed through.
            recipe: how.
            sound: the target sound, float32 [samples] at the model's rate, where the recipe uses one.
            products: of the fast arithmetic, ``bfloat16`` or ``float32``; None: what this machine is fastest with.

        Raises:
            RecipeError: a target sound is missing or empty, or the model lacks a layer or channel that the recipe
                names.
        """
        self._gradient = GradientStep(model, recipe, sound, products)
        self.model, self.recipe = model, recipe
        self.transform, self.budget = self._gradient.transform, self._gradient.budget

    def __call__(
        self,
        waveforms: np.ndarray,
        lengths: np.ndarray,
        aims: Sequence[Aim | int] | np.ndarray,
        on_step: OnStep | None = None,
        *,
        offsets: Sequence[int] | None = None,
    ) -> Ascent:
        """Dream a batch.

        Args:
            waveforms: float32 [batch, samples] at the model's rate, zero beyond each clip's length (`pad_batch`).
            lengths: int [batch], samples of each clip.
            aims: [batch], what each clip is dreamed toward; a number is a class.
            on_step: called after each step.
            offsets: [batch], samples at the model's rate from the beginning of a sound to a clip that is a piece of it;
                None: the clips are whole.
        """
        with _one_at_a_time:
            return self._climb(waveforms, lengths, aims, on_step, offsets or [0] * len(waveforms))

    def _climb(
        self,
        waveforms: np.ndarray,
        lengths: np.ndarray,
        aims: Sequence[Aim | int] | np.ndarray,
        on_step: OnStep | None,
        offsets: Sequence[int],
    ) -> Ascent:
        steps_wanted, samples = self.recipe.steps, waveforms.shape[1]
        rows = aim_rows([aim if isinstance(aim, Aim) else Aim((int(aim),)) for aim in aims], len(self.model.classes))
        clips, state = self._gradient.begin(
            tf.constant(waveforms, tf.float32),
            tf.constant(lengths, tf.int32),
            tf.constant(self._gradient.counts(lengths), tf.int32),
            tf.constant(rows),
            tf.concat([dither(samples, offset) for offset in offsets], axis=0),
        )
        shared = self._gradient.shared(samples)
        result = np.array(waveforms, np.float32)
        objectives = np.full((steps_wanted, len(waveforms)), np.nan, np.float32)
        steps = np.full(len(waveforms), steps_wanted)
        going = np.arange(len(waveforms))  # rows of the clips that are still on their way
        may_stop = np.ones(len(waveforms), bool)
        for number in range(1, steps_wanted + 1):
            before = state
            state, objective, lead, shared = self._gradient.advance(state, clips, shared, number)
            objectives[number - 1, going] = objective.numpy()
            ahead = self._ahead(lead)
            if self._gradient.view.rough:
                ahead, state = self._confirmed(ahead, before, state, clips, shared)
            if number == 1:  # one that leads from the start is dreamed further
                may_stop = ~ahead
            arrived = ahead & may_stop[going]
            if arrived.any():
                result[going[arrived]] = before.x.numpy()[arrived]
                objectives[number - 1, going[arrived]] = np.nan
                steps[going[arrived]] = number - 1
                left = np.flatnonzero(~arrived)
                going, state, clips = going[left], _rows(state, left), _rows(clips, left)
            if on_step:
                on_step(len(going) + int(arrived.sum()) * (steps_wanted - number + 1))
            if not len(going):
                return Ascent(result, objectives, steps)
        result[going] = self._gradient.finish(state, clips, shared).numpy()
        return Ascent(result, objectives, steps)

    def ascend(self, waveforms: tf.Tensor, aims: tf.Tensor) -> tf.Tensor:
        """Dream a batch in a graph, every clip for all steps of the recipe, as `augment.training.tf_data` needs it.

        Args:
            waveforms: float32 [batch, samples] of clips that are as long as the batch is wide; samples must be known.
            aims: float32 [batch, classes], as rows of `augment.targets.policies.Aim`.

        The recipe must not limit loudness, which is not measured in a graph, nor use the fast arithmetic.
        """
        sizes: Any = tf.shape(waveforms)
        static: Any = waveforms.shape
        samples, batch = int(static[1]), sizes[0]
        width = self.model.padded_length(samples)
        with tf.init_scope():  # what is kept between calls must not be of one graph
            shared = self._gradient.shared(width)
        clips, state = self._gradient.begin(
            tf.pad(waveforms, [[0, 0], [0, width - samples]]),
            tf.fill([batch], samples),
            tf.repeat(tf.constant(self._gradient.counts([samples]), tf.int32), batch, axis=0),
            aims,
            tf.repeat(dither(width), batch, axis=0),
        )
        for number in range(1, self.recipe.steps + 1):
            state, _, _, shared = self._gradient.advance(state, clips, shared, number)
        return self._gradient.finish(state, clips, shared)[:, :samples]

    def _ahead(self, lead: tf.Tensor) -> np.ndarray:
        hold = self.recipe.hold
        return np.zeros(len(lead), bool) if hold is None else lead.numpy() >= hold

    def _confirmed(
        self, ahead: np.ndarray, before: State, state: State, clips: Clips, shared: Shared
    ) -> tuple[np.ndarray, State]:
        """Check by the exact arithmetic which clips have arrived; keep the logits of the others."""
        rows = np.flatnonzero(ahead)
        if not len(rows):
            return ahead, state
        given = [tf.gather(values, rows) for values in (before.x, clips.counts, clips.aims, clips.dither)]
        _, lead, logits = self._gradient.look(*given, shared)
        ahead = ahead.copy()
        ahead[rows] = self._ahead(lead)
        if self._gradient.view.picks:
            state = state._replace(logits=tf.tensor_scatter_nd_update(state.logits, rows[:, None], logits))
        return ahead, state


def _rows(values: Any, rows: np.ndarray) -> Any:
    """Keep some rows of every tensor of a structure."""
    return tf.nest.map_structure(lambda value: tf.gather(value, rows), values)
