"""The ascent: gradient steps on a batch of waveforms at the model's sample rate, by a recipe.

A clip's way depends on the clip alone: nothing is summed over the batch, and a clip that has arrived leaves it, so that
the others go on faster and end where they would have ended anyway.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from augment.ascent import budgets, fast_gradient, transforms, tricks
from augment.ascent.domains import SAMPLES, Fixed
from augment.ascent.model_view import Listener, dither
from augment.ascent.recipe import Recipe, RecipeError
from augment.ascent.updates import UPDATES, Memory
from augment.models.interface import AudioModel
from augment.models.yamnet import padded_length
from augment.sound.stft import StftShape
from augment.targets.policies import Aim, aim_rows

OnStep = Callable[[int], None]
"""Called after each gradient step with how many steps of clips it has brought nearer to the end: one for each clip that
it moved, and all that are left of a clip that has arrived."""

_one_at_a_time = threading.Lock()
"""An ascent uses all cores; two at once would only need twice the memory."""

_ROUNDS = 2
"""How often parameters that are not linear are scaled to come near a budget; the rest is mixed with the source."""


def pad_batch(heard: Sequence[np.ndarray], model: AudioModel | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Stack clips [samples] of one padded length as float32 [batch, samples], and their lengths.

    Args:
        heard: the clips.
        model: whose padded length; None is YAMNet.

    Raises:
        ValueError: the clips are of different padded lengths.
    """
    lengths = np.array([len(clip) for clip in heard], np.int32)
    fit = model.padded_length if model else padded_length
    padded = {fit(int(length)) for length in lengths}
    if len(padded) != 1:
        raise ValueError(f"clips of one batch must share a padded length, got {sorted(padded)} samples")
    batch = np.zeros((len(heard), padded.pop()), np.float32)
    for row, clip in zip(batch, heard, strict=True):
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


class _Clips(NamedTuple):
    """What stays as it is during an ascent, a row for each clip."""

    source: tf.Tensor  # [batch, samples]
    lengths: tf.Tensor
    counts: tf.Tensor  # [batch, members], patches
    aims: tf.Tensor  # [batch, classes]
    rms: tf.Tensor
    quiet: tf.Tensor  # [batch, samples], noise under the sound
    fixed: Fixed  # of the domain


class _State(NamedTuple):
    """What an ascent changes, a row for each clip."""

    p: tf.Tensor
    memory: Memory
    x: tf.Tensor  # the waveform of p, within the budget
    best: tf.Tensor  # the best waveform so far
    best_value: tf.Tensor  # [batch]
    logits: tf.Tensor  # [batch, patches, classes] as they were last seen, by the fast arithmetic; else of no patch
    weights: tf.Tensor  # [batch, patches], what each patch counts for the objective; likewise


class _Common(NamedTuple):
    """What all clips share."""

    number: tf.Tensor
    mask: tf.Tensor  # [1, frames, bins], of the target sound
    sound: dict[str, tf.Tensor]  # what the objectives remember of it
    padded: tf.Tensor  # [members], samples


class Dreamer:
    """Gradient ascent through a model by one recipe; compiled once, for every batch shape."""

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
            RecipeError: the recipe needs a target sound and there is none, or it is empty; or it names a layer or
                channel that the model does not have.
        """
        self.model, self.recipe = model, recipe
        self.transform = transforms.TRANSFORMS[recipe.transform]
        self.budget = budgets.Budget(recipe.snr_db, recipe.change_lu, recipe.change_lufs, recipe.peak)
        self._domain = self.transform.domain
        self._shape = StftShape(recipe.frame_length, recipe.hop)
        if self.transform.needs_sound and (sound is None or not len(sound)):
            raise RecipeError(f"{recipe.transform} needs a target sound that is not empty")
        self._listener = Listener(model, recipe, sound, products)
        specs = self._specs()
        self._step = tf.function(self._take_step, specs, autograph=False)  # one trace serves all shapes
        self._look = tf.function(self._take_look, self._look_specs(specs), autograph=False)

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
            return self._climb(waveforms, lengths, aims, on_step, offsets)

    def _climb(
        self,
        waveforms: np.ndarray,
        lengths: np.ndarray,
        aims: Sequence[Aim | int] | np.ndarray,
        on_step: OnStep | None,
        offsets: Sequence[int] | None,
    ) -> Ascent:
        recipe, samples = self.recipe, waveforms.shape[1]
        rows = aim_rows([aim if isinstance(aim, Aim) else Aim((int(aim),)) for aim in aims], len(self.model.classes))
        counts = np.stack([member.model.patch_count(lengths) for member in self._listener.members], 1)
        whole = tf.constant(lengths, tf.int32), tf.constant(counts, tf.int32)
        if offsets is None:
            quiet = tf.repeat(dither(samples), len(waveforms), axis=0)
        else:
            quiet = tf.concat([dither(samples, offset) for offset in offsets], axis=0)
        clips, state = self._begin(tf.constant(waveforms, tf.float32), *whole, tf.constant(rows), quiet)
        mask, sound = self._sound_mask(samples), self._listener.remembered(samples)
        padded = tf.constant([member.model.padded_length(samples) for member in self._listener.members], tf.int32)
        result = np.array(waveforms, np.float32)
        objectives = np.full((recipe.steps, len(waveforms)), np.nan, np.float32)
        steps = np.full(len(waveforms), recipe.steps)
        going = np.arange(len(waveforms))  # rows of the clips that are still on their way
        may_stop = np.ones(len(waveforms), bool)
        for number in range(1, recipe.steps + 1):
            common = _Common(tf.constant(number, tf.float32), mask, sound, padded)
            before, chosen = state, self._chosen(state, number)
            state, objective, lead = self._step(state, self._allowed(state, clips), clips, common, chosen)
            objectives[number - 1, going] = objective.numpy()
            ahead = self._ahead(lead)
            if self._listener.rough:
                ahead, state = self._confirmed(ahead, before, state, clips, common)
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
                on_step(len(going) + int(arrived.sum()) * (recipe.steps - number + 1))
            if not len(going):
                return Ascent(result, objectives, steps)
        result[going] = self._last(state, clips, _Common(tf.constant(recipe.steps + 1.0), mask, sound, padded))
        return Ascent(result, objectives, steps)

    def ascend(self, waveforms: tf.Tensor, aims: tf.Tensor) -> tf.Tensor:
        """Dream a batch in a graph, every clip for all steps of the recipe, as `augment.training.tf_data` needs it.

        Args:
            waveforms: float32 [batch, samples] of clips that are as long as the batch is wide; samples must be known.
            aims: float32 [batch, classes], as rows of `augment.targets.policies.Aim`.

        The recipe must not limit loudness, which is not measured in a graph.
        """
        sizes: Any = tf.shape(waveforms)
        static: Any = waveforms.shape
        samples, batch = int(static[1]), sizes[0]
        width = self.model.padded_length(samples)
        counts = tf.constant([[int(member.model.patch_count(samples)) for member in self._listener.members]])
        with tf.init_scope():  # what is kept between calls must not be of one graph
            mask, sound = self._sound_mask(width), self._listener.remembered(width)
            padded = tf.constant([member.model.padded_length(width) for member in self._listener.members], tf.int32)
        source = tf.pad(waveforms, [[0, 0], [0, width - samples]])
        counts_of_all = tf.repeat(counts, batch, axis=0)
        quiet = tf.repeat(dither(width), batch, axis=0)
        clips, state = self._begin(source, tf.fill([batch], samples), counts_of_all, aims, quiet)
        for number in range(1, self.recipe.steps + 1):
            common = _Common(tf.constant(number, tf.float32), mask, sound, padded)
            every = tf.zeros([batch, 0], tf.int32)
            state, _, _ = self._step(state, self._allowed(state, clips), clips, common, every)
        if self.recipe.keep == "best" and self.recipe.steps:
            last = _Common(tf.constant(self.recipe.steps + 1.0), mask, sound, padded)
            value = self._look(state.x, counts_of_all, aims, clips.quiet, last)[0]
            return tf.where((value > state.best_value)[:, None], state.x, state.best)[:, :samples]
        return state.x[:, :samples]

    def _begin(
        self, source: tf.Tensor, lengths: tf.Tensor, counts: tf.Tensor, aims: tf.Tensor, quiet: tf.Tensor
    ) -> tuple[_Clips, _State]:
        if self.transform.needs_sound:
            sizes: Any = tf.shape(source)
            filtering = tf.repeat(self._listener.fitted_sound(sizes[1]), sizes[0], axis=0)
        else:
            filtering = source
        fixed = self._domain.fix(source, filtering, self._shape, self.recipe.threshold, self.recipe.power)
        clips = _Clips(source, lengths, counts, aims, transforms.rms(source, lengths), quiet, fixed)
        p = self._domain.start(source, fixed)
        worst = tf.fill(tf.shape(clips.rms), np.float32(-np.inf))
        sizes: Any = tf.shape(source)
        static: Any = source.shape
        patches = self.model.patch_count(int(static[1])) if self._listener.picks else 0
        logits = tf.zeros([sizes[0], patches, len(self.model.classes)])
        memory = (tf.zeros_like(p), tf.zeros_like(p))
        return clips, _State(p, memory, source, source, worst, logits, tf.zeros([sizes[0], patches]))

    def _ahead(self, lead: tf.Tensor) -> np.ndarray:
        hold = self.recipe.hold
        return np.zeros(len(lead), bool) if hold is None else lead.numpy() >= hold

    def _chosen(self, state: _State, number: int) -> np.ndarray:
        """Return which patches [batch, chosen] of the clips a step looks at; none are named where it is all."""
        if not self._listener.picks:
            return np.zeros((len(state.x), 0), np.int32)
        return fast_gradient.chosen_patches(state.weights.numpy(), number)

    def _confirmed(
        self, ahead: np.ndarray, before: _State, state: _State, clips: _Clips, common: _Common
    ) -> tuple[np.ndarray, _State]:
        """Ask the exact arithmetic whether clips that seem to have arrived have; keep what it saw of the others."""
        rows = np.flatnonzero(ahead)
        if not len(rows):
            return ahead, state
        given = [tf.gather(values, rows) for values in (before.x, clips.counts, clips.aims, clips.quiet)]
        _, lead, logits = self._look(*given, common)
        ahead = ahead.copy()
        ahead[rows] = self._ahead(lead)
        if self._listener.picks:
            state = state._replace(logits=tf.tensor_scatter_nd_update(state.logits, rows[:, None], logits))
        return ahead, state

    def _last(self, state: _State, clips: _Clips, common: _Common) -> np.ndarray:
        """Return the dreams of clips that have taken every step."""
        if self.recipe.keep == "last" or not self.recipe.steps:
            return state.x.numpy()
        known = clips.counts, clips.aims, clips.quiet, common
        value = self._look(state.x, *known)[0]
        best = self._look(state.best, *known)[0] if self._listener.rough else state.best_value
        return tf.where((value > best)[:, None], state.x, state.best).numpy()

    def _allowed(self, state: _State, clips: _Clips) -> tf.Tensor:
        """Return the rms [batch] that the change may have after the next step, as far as it can be known before."""
        allowed = tf.fill(tf.shape(clips.rms), np.float32(np.inf))
        if self.recipe.snr_db is not None:
            allowed = clips.rms * 10 ** (-self.recipe.snr_db / 20)
        if not self.budget.has_loudness:
            return allowed
        found = []
        for source, x, length in zip(clips.source.numpy(), state.x.numpy(), clips.lengths.numpy(), strict=True):
            change = (x - source)[:length, None].astype(np.float64)
            if not change.any():  # before the first step: as of white noise
                change = np.random.default_rng(0).normal(size=change.shape)
            ratio = self.budget.loudness_ratio(source[:length, None], change, self.model.sample_rate)
            found.append(math.sqrt(np.mean(change**2)) * ratio)
        return tf.minimum(allowed, tf.constant(found, tf.float32))

    def _take_step(
        self, state: _State, allowed: tf.Tensor, clips: _Clips, common: _Common, chosen: tf.Tensor
    ) -> tuple[_State, tf.Tensor, tf.Tensor]:
        """Return the state after a step, and the objective and the lead [batch] before it."""
        recipe, domain, listener = self.recipe, self._domain, self._listener
        with tf.GradientTape() as tape:
            tape.watch(state.x)
            x = self._jittered(state.x, common.number)
            known = clips.counts, clips.aims, common.sound, common.padded, clips.quiet
            heard = listener.hear(x, *known, (state.logits, chosen))
            objective = listener.value(heard)
        logits = heard[0].activations["logits"]
        gradients: Any = tape.gradient(objective, [state.x, logits])
        gradient, by_logits = tf.convert_to_tensor(gradients[0]), gradients[1]
        if self._listener.picks:
            state = state._replace(logits=logits, weights=fast_gradient.weigh(by_logits))
        lead = listener.lead(heard)
        value = lead if recipe.has_class_objective else objective
        better = value > state.best_value
        best = tf.where(better[:, None], state.x, state.best)
        state = state._replace(best=best, best_value=tf.where(better, value, state.best_value))
        own, inside = self._own_samples(clips), self._inside(clips)
        g = self._unit(domain.pull(state.p, gradient * own, clips.fixed, self._shape) * inside, clips)
        memory = state.memory
        if self.transform.adds:
            g, memory = UPDATES[recipe.update](
                g, memory, common.number, recipe.momentum, lambda v: self._unit(v, clips)
            )
            g = self._coarse(g, common.number) * inside
        eta = tf.reshape(self._eta(common.number, clips.rms), [-1] + [1] * (domain.rank - 1))
        p = self.transform.apply(state.p, g, self._settings(eta, common.mask)) * inside
        p, x = self._within(p, allowed, clips) if self.transform.adds else (p, p)
        return state._replace(p=p, memory=memory, x=x), objective, lead

    def _take_look(
        self, x: tf.Tensor, counts: tf.Tensor, aims: tf.Tensor, quiet: tf.Tensor, common: _Common
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return what waveforms are worth and their lead [batch], and their logits, by the exact arithmetic."""
        heard = self._listener.hear(x, counts, aims, common.sound, common.padded, quiet)
        return self._listener.worth(heard), self._listener.lead(heard), heard[0].activations["logits"]

    def _within(self, p: tf.Tensor, allowed: tf.Tensor, clips: _Clips) -> tuple[tf.Tensor, tf.Tensor]:
        """Bring the parameters within their box and the rms allowed; return them and their waveforms."""
        domain = self._domain
        start = domain.start(clips.source, clips.fixed)
        p = domain.box(p, clips.fixed, self._shape)
        x = domain.render(p, clips.source, clips.fixed, self._shape)
        rounds = (1 if domain.linear else _ROUNDS) if self.budget.has_distance else 0
        own = self._own_samples(clips)
        for rounds_left in reversed(range(rounds)):
            change = (x - clips.source) * own
            share = budgets.share_within(allowed, transforms.rms(change, clips.lengths))
            p = start + (p - start) * tf.reshape(share, [-1] + [1] * (domain.rank - 1))
            if rounds_left:
                x = domain.render(p, clips.source, clips.fixed, self._shape)
            else:  # what is left over of a change that is not linear is mixed with the source
                x = clips.source + share[:, None] * change
        if not rounds:
            x = clips.source + (x - clips.source) * own
        x = budgets.within_peak(x, clips.source, self.recipe.peak)
        return (x if domain is SAMPLES else p), x

    def _jittered(self, x: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        if self.recipe.time_jitter:
            x = tricks.shift(x, number, round(self.recipe.time_jitter * self.model.sample_rate))
        if self.recipe.gain_jitter:
            x = tricks.gain(x, number, self.recipe.gain_jitter)
        return x

    def _coarse(self, direction: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        recipe = self.recipe
        if recipe.octaves > 1:
            limit = tricks.band_limit(number, recipe.steps, recipe.octaves)
            direction = tricks.low_pass(direction, limit, axis=self._domain.rank - 1)
        return tricks.blur(direction, recipe.smoothing) if recipe.smoothing else direction

    def _unit(self, values: tf.Tensor, clips: _Clips) -> tf.Tensor:
        """Scale each clip's values to unit rms."""
        if self._domain.rank == 2:
            return transforms.normalise(values, clips.lengths)
        sizes = tf.shape(values)
        flat = tf.reshape(values, [sizes[0], -1])
        counts = tf.fill([sizes[0]], sizes[1] * sizes[2])
        return tf.reshape(transforms.normalise(flat, counts), sizes)

    def _own_samples(self, clips: _Clips) -> tf.Tensor:
        return tf.sequence_mask(clips.lengths, tf.shape(clips.source)[1], dtype=clips.source.dtype)

    def _inside(self, clips: _Clips) -> tf.Tensor | float:
        """Return what of the parameters is the clips' own."""
        return self._own_samples(clips) if self._domain.rank == 2 else 1.0

    def _eta(self, number: tf.Tensor, rms: tf.Tensor) -> tf.Tensor:
        """Return the size [batch] of the numbered step, in the parameters' units."""
        recipe = self.recipe
        fall = 0.9 * (number - 1) / max(1, recipe.steps - 1) if recipe.schedule == "linear" else 0.0
        unit = {"clip_rms": rms, "full_scale": tf.ones_like(rms)}
        if recipe.snr_db is not None:
            unit["budget"] = rms * 10 ** (-recipe.snr_db / 20)
        return recipe.step_size * (1.0 - fall) * unit["full_scale" if self._domain.own_unit else recipe.step_unit]

    def _settings(self, eta: tf.Tensor, mask: tf.Tensor | None = None) -> transforms.Step:
        recipe = self.recipe
        return transforms.Step(eta, recipe.threshold, recipe.power, recipe.flip, self._shape, mask)

    def _sound_mask(self, samples: int) -> tf.Tensor:
        if not self.transform.needs_sound:
            return tf.ones([1, 1, 1])
        return transforms.sound_mask(
            tf.constant(self._listener.sound, tf.float32), samples, self._settings(tf.ones([1, 1]))
        )

    def _specs(self) -> tuple[Any, ...]:
        spec: Any = tf.TensorSpec
        row, waveforms, whole = spec([None]), spec([None, None]), spec([None], tf.int32)
        sizes = [None, None, self.recipe.frame_length // 2 + 1]  # of spectra
        p = spec(sizes if self._domain.rank == 3 else [None, None])
        fixed = tuple(spec(sizes if rank == 3 else [None, None], kind) for rank, kind in self._domain.fixed)
        counts = spec([None, len(self._listener.members)], tf.int32)
        clips = _Clips(waveforms, whole, counts, spec([None, len(self.model.classes)]), row, waveforms, fixed)
        logits = spec([None, None, len(self.model.classes)])
        state = _State(p, (p, p), waveforms, waveforms, row, logits, spec([None, None]))
        sound = {
            name: spec([1] + [None] * (len(value.shape) - 1))
            for name, value in self._listener.remembered(self.model.padded_length(1)).items()
        }
        common = _Common(spec([]), spec([1, None, None]), sound, spec([len(self._listener.members)], tf.int32))
        return state, row, clips, common, spec([None, None], tf.int32)

    @staticmethod
    def _look_specs(specs: tuple[Any, ...]) -> tuple[Any, ...]:
        state, _, clips, common, _ = specs
        return state.x, clips.counts, clips.aims, clips.quiet, common


def _rows(values: Any, rows: np.ndarray) -> Any:
    """Keep some rows of every tensor of a structure."""
    return tf.nest.map_structure(lambda value: tf.gather(value, rows), values)
