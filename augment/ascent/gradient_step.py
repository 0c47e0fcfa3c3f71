"""One gradient step of a batch: from a state to the next, compiled once for every batch shape.

A clip's way depends on the clip alone: nothing is summed over the batch.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from augment.ascent import budgets, fast_gradient, transforms, tricks
from augment.ascent.domains import SAMPLES, Domain, Fixed
from augment.ascent.model_view import ModelView
from augment.ascent.updates import Memory
from augment.models.interface import AudioModel
from augment.recipes.recipe import Recipe, RecipeError
from augment.recipes.tables import TRANSFORMS, UPDATES, resolve
from augment.sound.stft import StftShape

ROUNDS = 2
"""How often parameters that are not linear are scaled to come near a budget; the rest is mixed with the source."""


class Clips(NamedTuple):
    """What stays as it is during an ascent, a row for each clip."""

    source: tf.Tensor  # [batch, samples]
    lengths: tf.Tensor
    counts: tf.Tensor  # [batch, members], patches
    aims: tf.Tensor  # [batch, classes]
    rms: tf.Tensor
    dither: tf.Tensor  # [batch, samples], noise under the sound
    fixed: Fixed  # of the domain


class State(NamedTuple):
    """What an ascent changes, a row for each clip."""

    p: tf.Tensor
    memory: Memory
    x: tf.Tensor  # the waveform of p, within the budget
    best: tf.Tensor  # the best waveform so far
    best_value: tf.Tensor  # [batch]
    logits: tf.Tensor  # [batch, patches, classes] of the last look, by the fast arithmetic; else of no patch
    weights: tf.Tensor  # [batch, patches], how much the objective depends on each; likewise


class Shared(NamedTuple):
    """What all clips share."""

    number: tf.Tensor
    mask: tf.Tensor  # [1, frames, bins], of the target sound
    reference: dict[str, tf.Tensor]  # what the objectives keep of it
    padded: tf.Tensor  # [members], samples


class GradientStep:
    """The step of one recipe through one model.

    Attributes:
        model: what is dreamed through.
        recipe: how.
        transform: of the recipe.
        budget: of the recipe.
        view: of the model.
    """

    def __init__(self, model: AudioModel, recipe: Recipe, sound: np.ndarray | None, products: str | None):
        """Check what the recipe needs, and describe the tensors of the step.

        Raises:
            RecipeError: a target sound is missing, or the model lacks a layer or channel.
        """
        self.model, self.recipe = model, recipe
        self.transform = TRANSFORMS[recipe.transform]
        self.budget = budgets.Budget(recipe.snr_db, recipe.change_lu, recipe.change_lufs, recipe.peak)
        self._domain: Domain = resolve(self.transform.domain)
        self._shape = StftShape(recipe.frame_length, recipe.hop)
        if self.transform.needs_sound and (sound is None or not len(sound)):
            raise RecipeError(f"{recipe.transform} needs a target sound that is not empty")
        self.view = ModelView(model, recipe, sound, products)
        state, row, clips, shared, chosen = self._specs()
        signature = state, row, clips, shared, chosen
        self.step = tf.function(self._take_step, signature, autograph=False)  # one trace serves all shapes
        looked_at = state.x, clips.counts, clips.aims, clips.dither, shared
        self.look = tf.function(self._take_look, looked_at, autograph=False)

    def counts(self, lengths: Any) -> np.ndarray:
        """Return the patches of each clip for each member of the model: int [batch, members]."""
        return np.stack([member.model.patch_count(lengths) for member in self.view.members], 1)

    def shared(self, samples: int) -> Shared:
        """Return what clips of a padded length share, before the first step."""
        padded = [member.model.padded_length(samples) for member in self.view.members]
        reference = self.view.reference(samples)
        return Shared(tf.constant(0.0), self._sound_mask(samples), reference, tf.constant(padded, tf.int32))

    def begin(
        self, source: tf.Tensor, lengths: tf.Tensor, counts: tf.Tensor, aims: tf.Tensor, noise: tf.Tensor
    ) -> tuple[Clips, State]:
        """Return the clips and the state before the first step.

        Args:
            source: float32 [batch, samples].
            lengths: int [batch], own samples of each clip.
            counts: int [batch, members], patches.
            aims: float32 [batch, classes].
            noise: float32 [batch, samples], under the sound (`augment.ascent.model_view.dither`).
        """
        sizes: Any = tf.shape(source)
        static: Any = source.shape
        filtering = source
        if self.transform.needs_sound:
            filtering = tf.repeat(self.view.fitted_sound(sizes[1]), sizes[0], axis=0)
        fixed = self._domain.fix(source, filtering, self._shape, self.recipe.threshold, self.recipe.power)
        clips = Clips(source, lengths, counts, aims, transforms.rms(source, lengths), noise, fixed)
        p = self._domain.start(source, fixed)
        worst = tf.fill(tf.shape(clips.rms), np.float32(-np.inf))
        patches = self.model.patch_count(int(static[1])) if self.view.picks else 0
        logits = tf.zeros([sizes[0], patches, len(self.model.classes)])
        memory = (tf.zeros_like(p), tf.zeros_like(p))
        return clips, State(p, memory, source, source, worst, logits, tf.zeros([sizes[0], patches]))

    def advance(
        self, state: State, clips: Clips, shared: Shared, number: int
    ) -> tuple[State, tf.Tensor, tf.Tensor, Shared]:
        """Take the numbered step, from 1.

        Returns:
            The next state; the objective and the lead [batch] before the step; what the clips shared in it.
        """
        shared = shared._replace(number=tf.constant(number, tf.float32))
        if self.view.picks:
            chosen = fast_gradient.chosen_patches(state.weights.numpy(), number)
        else:  # all patches
            sizes: Any = tf.shape(state.x)
            chosen = tf.zeros([sizes[0], 0], tf.int32)
        state, objective, lead = self.step(state, self._allowed(state, clips), clips, shared, chosen)
        return state, objective, lead, shared

    def finish(self, state: State, clips: Clips, shared: Shared) -> tf.Tensor:
        """Return the waveforms [batch, samples] of clips that have taken every step."""
        if self.recipe.keep == "last" or not self.recipe.steps:
            return state.x
        known = clips.counts, clips.aims, clips.dither, shared._replace(number=tf.constant(self.recipe.steps + 1.0))
        value = self.look(state.x, *known)[0]
        best = self.look(state.best, *known)[0] if self.view.rough else state.best_value
        return tf.where((value > best)[:, None], state.x, state.best)

    def _allowed(self, state: State, clips: Clips) -> tf.Tensor:
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
        self, state: State, allowed: tf.Tensor, clips: Clips, shared: Shared, chosen: tf.Tensor
    ) -> tuple[State, tf.Tensor, tf.Tensor]:
        """Return the state after a step, and the objective and the lead [batch] before it."""
        recipe, domain, view = self.recipe, self._domain, self.view
        with tf.GradientTape() as tape:
            tape.watch(state.x)
            x = self._jittered(state.x, shared.number)
            known = clips.counts, clips.aims, shared.reference, shared.padded, clips.dither
            outputs = view.outputs(x, *known, (state.logits, chosen))
            objective = view.value(outputs)
        logits = outputs[0].activations["logits"]
        gradients: Any = tape.gradient(objective, [state.x, logits])
        gradient, by_logits = tf.convert_to_tensor(gradients[0]), gradients[1]
        if self.view.picks:
            state = state._replace(logits=logits, weights=fast_gradient.weigh(by_logits))
        lead = view.lead(outputs)
        value = lead if recipe.has_class_objective else objective
        better = value > state.best_value
        best = tf.where(better[:, None], state.x, state.best)
        state = state._replace(best=best, best_value=tf.where(better, value, state.best_value))
        own, inside = self._own_samples(clips), self._inside(clips)
        g = self._unit(domain.pull(state.p, gradient * own, clips.fixed, self._shape) * inside, clips)
        memory = state.memory
        if self.transform.adds:
            g, memory = UPDATES[recipe.update](
                g, memory, shared.number, recipe.momentum, lambda v: self._unit(v, clips)
            )
            g = self._coarse(g, shared.number) * inside
        eta = tf.reshape(self._eta(shared.number, clips.rms), [-1] + [1] * (domain.rank - 1))
        p = self.transform.apply(state.p, g, self._settings(eta, shared.mask)) * inside
        p, x = self._within(p, allowed, clips) if self.transform.adds else (p, p)
        return state._replace(p=p, memory=memory, x=x), objective, lead

    def _take_look(
        self, x: tf.Tensor, counts: tf.Tensor, aims: tf.Tensor, noise: tf.Tensor, shared: Shared
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return what waveforms are worth and their lead [batch], and their logits, by the exact arithmetic."""
        outputs = self.view.outputs(x, counts, aims, shared.reference, shared.padded, noise)
        return self.view.worth(outputs), self.view.lead(outputs), outputs[0].activations["logits"]

    def _within(self, p: tf.Tensor, allowed: tf.Tensor, clips: Clips) -> tuple[tf.Tensor, tf.Tensor]:
        """Bring the parameters within their box and the rms allowed; return them and their waveforms."""
        domain = self._domain
        start = domain.start(clips.source, clips.fixed)
        p = domain.box(p, clips.fixed, self._shape)
        x = domain.render(p, clips.source, clips.fixed, self._shape)
        rounds = (1 if domain.linear else ROUNDS) if self.budget.has_distance else 0
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

    def _unit(self, values: tf.Tensor, clips: Clips) -> tf.Tensor:
        """Scale each clip's values to unit rms."""
        if self._domain.rank == 2:
            return transforms.normalise(values, clips.lengths)
        sizes = tf.shape(values)
        flat = tf.reshape(values, [sizes[0], -1])
        counts = tf.fill([sizes[0]], sizes[1] * sizes[2])
        return tf.reshape(transforms.normalise(flat, counts), sizes)

    def _own_samples(self, clips: Clips) -> tf.Tensor:
        return tf.sequence_mask(clips.lengths, tf.shape(clips.source)[1], dtype=clips.source.dtype)

    def _inside(self, clips: Clips) -> tf.Tensor | float:
        """Return what of the parameters is the clips' own."""
        return self._own_samples(clips) if self._domain.rank == 2 else 1.0

    def _eta(self, number: tf.Tensor, rms: tf.Tensor) -> tf.Tensor:
        """Return the size [batch] of the numbered step, in the parameters' units."""
        recipe = self.recipe
        fall = 0.9 * (number - 1) / max(1, recipe.steps - 1) if recipe.schedule == "linear" else 0.0
        unit = {"clip_rms": rms, "full_scale": tf.ones_like(rms)}
        if recipe.snr_db is not None:
            unit["budget"] = rms * 10 ** (-recipe.snr_db / 20)
        return recipe.step_size * (1.0 - fall) * unit["full_scale" if self.transform.own_unit else recipe.step_unit]

    def _settings(self, eta: tf.Tensor, mask: tf.Tensor | None = None) -> transforms.Step:
        recipe = self.recipe
        return transforms.Step(eta, recipe.threshold, recipe.power, recipe.flip, self._shape, mask)

    def _sound_mask(self, samples: int) -> tf.Tensor:
        if not self.transform.needs_sound:
            return tf.ones([1, 1, 1])
        return transforms.sound_mask(tf.constant(self.view.sound, tf.float32), samples, self._settings(tf.ones([1, 1])))

    def _specs(self) -> tuple[Any, ...]:
        spec: Any = tf.TensorSpec
        row, waveforms, whole = spec([None]), spec([None, None]), spec([None], tf.int32)
        sizes = [None, None, self.recipe.frame_length // 2 + 1]  # of spectra
        p = spec(sizes if self._domain.rank == 3 else [None, None])
        fixed = tuple(spec(sizes if rank == 3 else [None, None], kind) for rank, kind in self._domain.fixed)
        counts = spec([None, len(self.view.members)], tf.int32)
        clips = Clips(waveforms, whole, counts, spec([None, len(self.model.classes)]), row, waveforms, fixed)
        logits = spec([None, None, len(self.model.classes)])
        state = State(p, (p, p), waveforms, waveforms, row, logits, spec([None, None]))
        sound = {
            name: spec([1] + [None] * (len(value.shape) - 1))
            for name, value in self.view.reference(self.model.padded_length(1)).items()
        }
        shared = Shared(spec([]), spec([1, None, None]), sound, spec([len(self.view.members)], tf.int32))
        return state, row, clips, shared, spec([None, None], tf.int32)
