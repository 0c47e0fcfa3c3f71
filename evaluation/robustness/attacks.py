"""Attacks: the dreams of a batch of clips, through the tested classifier or through YAMNet.

`AttackBatch` makes the dreams of its clips when a perturbation asks, once for each budget. `AttackModel` is the model
that is dreamed through. Clips are assigned to batches before any worker starts, so results do not depend on the number
of workers.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from augment.ascent.dreaming import Sound
from augment.ascent.loop import Dreamer, pad_batch
from augment.ascent.objectives import ModelOutput
from augment.models.heads import Choice
from augment.recipes.recipe import Recipe
from augment.recipes.tables import OBJECTIVES, resolve
from augment.sound.distance import at_snr
from augment.sound.resampling import restore
from augment.targets.policies import Aim, aim_rows
from evaluation.judges.white_box import Dreamable, dreaming_yamnet, forget_models, white_box
from evaluation.robustness.robustness_plan import AttackedClip, RobustnessPlan

BATCH = 32
"""Most clips in a batch."""

HOLD = {"mean_margin": 1.0, "soft_margin": 0.3}
"""A dream ends when its lead is this large (`augment.ascent.objectives`); it is then scaled to its whole budget."""

JUDGE, YAMNET = "judge", "yamnet"
"""What can be dreamed through."""

Changes = list[np.ndarray | None]
"""The change of each clip, float64 [samples, channels] at any scale; None if there is none."""

_NO_LIMIT = 100.0  # of the peak: controls have no limit either, and a float file holds such samples


class AttackModel:
    """A model that is dreamed through, and the position among the classes under test of each of its classes."""

    def __init__(self, model: Dreamable, positions: Sequence[int], steps: int):
        self._model, self._positions, self._steps = model, tuple(positions), steps
        self._dreamers: dict[tuple[float | None, bool], Dreamer] = {}
        self.sample_rate, self.identity = model.sample_rate, model.identity
        self.hold = HOLD[model.objective]

    def aim(self, clip: AttackedClip, *, targeted: bool) -> Aim | None:
        """Return the target of a clip's dream, None if the model has no class for it.

        An untargeted dream goes toward whichever wrong class is nearest: all classes but the clip's own count as one
        target, so it arrives just when the classifier errs.
        """
        wrong = {clip.target} if targeted else set(range(max(self._positions) + 1)) - set(clip.truth)
        found = tuple(index for index, position in enumerate(self._positions) if position in wrong)
        known = any(position in clip.truth for position in self._positions)
        return Aim(found) if found and known else None

    def changes(
        self, clips: Sequence[AttackedClip], snr_db: float | None, *, targeted: bool, every_step: bool = False
    ) -> Changes:
        """Dream clips; return the changes, None for a clip without an aim.

        Args:
            clips: of one batch.
            snr_db: budget; None makes one step along the gradient's sign, of any size.
            targeted: toward the clip's target, not just away from its own classes.
            every_step: take every step, even when the dream leads already.
        """
        model, rate = self._model, self.sample_rate
        aims = [self.aim(clip, targeted=targeted) for clip in clips]
        by_length: dict[int, list[int]] = {}
        for index, (clip, aim) in enumerate(zip(clips, aims, strict=True)):
            if aim is not None:
                by_length.setdefault(model.padded_length(len(clip.model_input(rate))), []).append(index)
        found: Changes = [None] * len(clips)
        for length, rows in by_length.items():
            limit = model.batch_limit(length)
            for first in range(0, len(rows), limit):
                block = rows[first : first + limit]
                inputs = [clips[row].model_input(rate) for row in block]
                chosen = [aim for aim in (aims[row] for row in block) if aim is not None]
                made = self._dreamer(snr_db, every_step)(*pad_batch(inputs, model), chosen).waveforms
                for row, mono, dreamed in zip(block, inputs, made, strict=True):
                    sound = clips[row].sound
                    given = sound.waveform, sound.sample_rate, dreamed[: len(mono)], mono
                    found[row] = restore(*given, adds=True, model_rate=rate).astype(np.float64) - sound.waveform
        return found

    def leads(self, clips: Sequence[AttackedClip], sounds: Sequence[Sound], *, targeted: bool) -> np.ndarray:
        """Return the lead of each sound toward its clip's aim, [sounds], to be compared with `hold`.

        Each `Sound.model_rate` is this model's sample rate.
        """
        found = np.full(len(sounds), -np.inf)
        for place, (clip, sound) in enumerate(zip(clips, sounds, strict=True)):
            aim = self.aim(clip, targeted=targeted)
            if aim is not None:
                batch, lengths = pad_batch([sound.model_input], self._model)
                row = aim_rows([aim], len(self._model.classes))
                found[place] = self._lead(batch, self._model.patch_count(lengths).astype(np.int32), row).numpy()[0]
        return found

    @functools.cached_property
    def _lead(self) -> Any:
        spec: Any = tf.TensorSpec
        shapes = [spec([None, None]), spec([None], tf.int32), spec([None, len(self._model.classes)])]

        def lead(waveforms: tf.Tensor, counts: tf.Tensor, aims: tf.Tensor) -> tf.Tensor:
            output = ModelOutput(self._model.activations(waveforms, ("logits",)), counts, aims, link=self._model.link)
            return resolve(OBJECTIVES[self._model.objective].lead)(output)

        return tf.function(lead, input_signature=shapes, autograph=False)

    def recipe(self, snr_db: float | None, *, every_step: bool = False) -> Recipe:
        """Return the recipe of its dreams within a budget; None is the one step, of any size."""
        values: dict[str, Any] = {"objective": self._model.objective, "peak": _NO_LIMIT}
        if snr_db is None:
            values |= {"steps": 1, "step_size": 1.0, "update": "sign", "keep": "last", "hold": None}
        else:
            values |= {"steps": self._steps, "snr_db": snr_db, "hold": None if every_step else self.hold}
        return Recipe.model_validate(values)

    def _dreamer(self, snr_db: float | None, every_step: bool) -> Dreamer:
        if (snr_db, every_step) not in self._dreamers:
            self._dreamers[snr_db, every_step] = Dreamer(self._model, self.recipe(snr_db, every_step=every_step))
        return self._dreamers[snr_db, every_step]


class AttackBatch:
    """The clips of a batch, and their dreams at the current budget."""

    def __init__(self, plan: RobustnessPlan, clips: Sequence[AttackedClip]):
        self.plan, self.clips = plan, clips
        self._made: dict[tuple[str, bool], tuple[float, Changes]] = {}
        self._step: Changes | None = None

    def dreams(self, through: str, snr_db: float, *, targeted: bool) -> Changes:
        """Return the changes of the clips' dreams, made once for each budget.

        A dream that arrived at the last budget is scaled up to this one and kept if it still leads; only the others
        are dreamed again. That saves most steps where budgets grow from call to call. A dream that arrives early has
        used a part of its budget. If scaling it to the whole budget loses the lead, it is dreamed again with every
        step, so that its steps use the whole budget.
        """
        budget, found = self._made.get((through, targeted), (None, []))
        if found and budget == snr_db:
            return found
        model, found = shared_attack_model(self.plan, through), list(found or [None] * len(self.clips))
        scaled = [index for index, change in enumerate(found) if change is not None and budget and snr_db < budget]
        arrived = self._arrived(model, found, scaled, snr_db, targeted)
        left = [index for index in range(len(self.clips)) if index not in arrived]
        self._dream(model, found, left, snr_db, targeted=targeted)
        made = [index for index in left if found[index] is not None]
        early = self._arrived(model, found, made, None, targeted)
        lost = sorted(early - self._arrived(model, found, made, snr_db, targeted))
        self._dream(model, found, lost, snr_db, targeted=targeted, every_step=True)
        self._made[through, targeted] = (snr_db, found)
        return found

    def first_step(self) -> Changes:
        """Return the changes of one untargeted step along the sign of the classifier's gradient, at any scale."""
        if self._step is None:
            self._step = shared_attack_model(self.plan, JUDGE).changes(self.clips, None, targeted=False)
        return self._step

    def _dream(self, model: AttackModel, found: Changes, rows: Sequence[int], snr_db: float, **how: bool) -> None:
        """Dream some clips and store their changes."""
        for index, change in zip(rows, model.changes([self.clips[row] for row in rows], snr_db, **how), strict=True):
            found[index] = change

    def _arrived(
        self, model: AttackModel, changes: Changes, rows: Sequence[int], snr_db: float | None, targeted: bool
    ) -> set[int]:
        """Return which clips lead with their change scaled to an SNR, or unscaled for None."""
        clips = [self.clips[row] for row in rows]
        sounds = []
        for row, clip in zip(rows, clips, strict=True):
            waveform, change = clip.sound.waveform, changes[row]
            assert change is not None
            changed = waveform + change if snr_db is None else at_snr(waveform, change, snr_db)
            sounds.append(Sound(changed.astype(np.float32), clip.sound.sample_rate, model.sample_rate))
        ahead = model.leads(clips, sounds, targeted=targeted) >= model.hold
        return {row for row, leads in zip(rows, ahead, strict=True) if leads}


_loading = threading.Lock()


def shared_attack_model(plan: RobustnessPlan, through: str) -> AttackModel:
    """Load `JUDGE` or `YAMNET` to dream through, once for the whole process and only when needed.

    Raises:
        JudgeError: the classifier cannot be dreamed through.
        WeightsError: YAMNet's weights cannot be found.
    """
    with _loading:
        return _load(plan, through)


def forget_attack_models() -> None:
    """Load models anew from now on, because a file has changed."""
    _load.cache_clear()
    forget_models()


@functools.lru_cache(maxsize=2)  # both models of one plan
def _load(plan: RobustnessPlan, through: str) -> AttackModel:
    if through == JUDGE:
        return AttackModel(white_box(plan.judge, plan.columns), range(len(plan.columns)), plan.steps)
    choice = Choice(dreaming_yamnet(plan.judge.weights), [index for index, _ in plan.answers])
    return AttackModel(choice, [position for _, position in plan.answers], plan.steps)
