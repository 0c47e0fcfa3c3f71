"""The bench: a batch of clips on which a classifier is tried, and the dreams that are made of them.

`Trial` says what is tried, and crosses to the workers. `Bench` holds the clips of one batch and makes their dreams when
a perturbation asks, once for each budget; which clips share a batch is settled before any worker starts, so that
nothing depends on how many there are. `Route` is what is dreamed through: the classifier itself or YAMNet.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from augment.ascent.dreaming import Sound
from augment.ascent.loop import Dreamer, pad_batch
from augment.ascent.objectives import ModelOutput
from augment.ascent.recipe import Recipe
from augment.ascent.tables import OBJECTIVES, resolve
from augment.models.heads import Choice
from augment.sound.distance import at_snr
from augment.sound.resampling import restore, to_model
from augment.targets.policies import Aim, aim_rows
from evaluation.judges.judge import JudgeSpec
from evaluation.judges.white_box import Dreamable, dreaming_yamnet, forget_models, white_box

BATCH = 32
"""Clips that share a batch, at most."""

HOLD = {"mean_margin": 1.0, "soft_margin": 0.3}
"""A dream ends when its lead is this large (`augment.ascent.objectives`); it is then scaled to its whole budget."""

JUDGE, YAMNET = "judge", "yamnet"
"""What can be dreamed through."""

_NO_LIMIT = 100.0  # of the peak: a control has none either, and a float file holds it


@dataclass(frozen=True)
class Item:
    """One clip, unread.

    Attributes:
        id: of the clip.
        source: what it was cut from; intervals are drawn over these.
        uri: of the file.
        labels: its labels.
        where: what the reader needs to know.
    """

    id: str
    source: str
    uri: str
    labels: tuple[str, ...]
    where: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True)
class Trial:
    """What is tried.

    Attributes:
        judge: the classifier.
        columns: its classes that are under test, by index; the others are not looked at. What follows counts them by
            their position here.
        names: of these classes.
        truths: (label, position) pairs.
        answers: (YAMNet's class, position) pairs: what is dreamed toward where YAMNet is dreamed through.
        perturbations: keys of `evaluation.robustness.perturbations.PERTURBATIONS`.
        budgets: SNRs in dB.
        steps: of gradient ascent.
        seed: of targets and noise.
    """

    judge: JudgeSpec
    columns: tuple[int, ...]
    names: tuple[str, ...]
    truths: tuple[tuple[str, int], ...]
    answers: tuple[tuple[int, int], ...]
    perturbations: tuple[str, ...]
    budgets: tuple[float, ...]
    steps: int
    seed: int

    @property
    def sounds_per_clip(self) -> int:
        """How many sounds are made of a clip: itself, and each perturbation at each budget."""
        return 1 + len(self.perturbations) * len(self.budgets)

    def truth(self, labels: Sequence[str]) -> tuple[int, ...]:
        """Return the positions of labels, each once; those that the classifier does not know are left out."""
        known = dict(self.truths)
        return tuple(dict.fromkeys(known[label] for label in labels if label in known))


@dataclass(frozen=True, eq=False)
class Subject:
    """A clip on the bench.

    Attributes:
        item: what it is.
        sound: its samples.
        truth: positions of its classes.
        target: position of the class that targeted dreams aim at, None if it has all classes.
    """

    item: Item
    sound: Sound
    truth: tuple[int, ...]
    target: int | None
    _heard: dict[int, np.ndarray] = field(default_factory=dict, init=False, repr=False)

    def heard(self, model_rate: int) -> np.ndarray:
        """Return what a model of that rate, in Hz, hears of the clip: float32 [samples at model_rate]."""
        if model_rate == self.sound.model_rate:
            return self.sound.heard
        if model_rate not in self._heard:
            self._heard[model_rate] = to_model(self.sound.waveform, self.sound.sample_rate, model_rate)
        return self._heard[model_rate]


class Route:
    """What is dreamed through: a model, and which position each of its classes stands for."""

    def __init__(self, model: Dreamable, positions: Sequence[int], steps: int):
        self._model, self._positions, self._steps = model, tuple(positions), steps
        self._dreamers: dict[tuple[float | None, bool], Dreamer] = {}

    def aim(self, subject: Subject, *, targeted: bool) -> Aim | None:
        """Return what a clip is dreamed toward, None if the model has no class for it.

        Untargeted is toward whichever other class is nearest: all classes that are not the clip's count as one target,
        so that the dream has arrived just when the classifier errs.
        """
        wrong = {subject.target} if targeted else set(range(max(self._positions) + 1)) - set(subject.truth)
        found = tuple(index for index, position in enumerate(self._positions) if position in wrong)
        known = any(position in subject.truth for position in self._positions)
        return Aim(found) if found and known else None

    def changes(
        self, subjects: Sequence[Subject], snr_db: float | None, *, targeted: bool, every_step: bool = False
    ) -> list[np.ndarray | None]:
        """Dream clips; return what changed, float64 [samples, channels], or None of a clip that has no aim.

        Args:
            subjects: the clips.
            snr_db: budget; None makes one step along the gradient's sign, of any size.
            targeted: toward the subject's target, not just away from its own classes.
            every_step: take every step, whether it leads already or not.
        """
        model, rate = self._model, self.sample_rate
        aims = [self.aim(subject, targeted=targeted) for subject in subjects]
        by_length: dict[int, list[int]] = {}
        for index, (subject, aim) in enumerate(zip(subjects, aims, strict=True)):
            if aim is not None:
                by_length.setdefault(model.padded_length(len(subject.heard(rate))), []).append(index)
        found: list[np.ndarray | None] = [None] * len(subjects)
        for length, rows in by_length.items():
            most = model.batch_limit(length)
            for first in range(0, len(rows), most):
                block = rows[first : first + most]
                heard = [subjects[row].heard(rate) for row in block]
                chosen = [aim for aim in (aims[row] for row in block) if aim is not None]
                made = self._dreamer(snr_db, every_step)(*pad_batch(heard, model), chosen).waveforms
                for row, mono, dreamed in zip(block, heard, made, strict=True):
                    sound = subjects[row].sound
                    given = sound.waveform, sound.sample_rate, dreamed[: len(mono)], mono
                    written = restore(*given, adds=True, model_rate=rate)
                    found[row] = written.astype(np.float64) - sound.waveform
        return found

    def leads(self, subjects: Sequence[Subject], sounds: Sequence[Sound], *, targeted: bool) -> np.ndarray:
        """Return by how much each sound leads toward its subject's aim, [sounds]: what `HOLD` is compared with.

        The sounds are those that a model of this one's sample rate hears (`Sound.model_rate`).
        """
        found = np.full(len(sounds), -np.inf)
        for place, (subject, sound) in enumerate(zip(subjects, sounds, strict=True)):
            aim = self.aim(subject, targeted=targeted)
            if aim is not None:
                batch, lengths = pad_batch([sound.heard], self._model)
                row = aim_rows([aim], len(self._model.classes))
                found[place] = self._lead(batch, self._model.patch_count(lengths).astype(np.int32), row).numpy()[0]
        return found

    @functools.cached_property
    def _lead(self) -> Any:
        spec: Any = tf.TensorSpec
        shapes = [spec([None, None]), spec([None], tf.int32), spec([None, len(self._model.classes)])]

        def lead(waveforms: tf.Tensor, counts: tf.Tensor, aims: tf.Tensor) -> tf.Tensor:
            heard = ModelOutput(self._model.activations(waveforms, ("logits",)), counts, aims, link=self._model.link)
            return resolve(OBJECTIVES[self._model.objective].lead)(heard)

        return tf.function(lead, input_signature=shapes, autograph=False)

    @property
    def hold(self) -> float:
        """The lead at which a dream is finished."""
        return HOLD[self._model.objective]

    @property
    def sample_rate(self) -> int:
        """Hz, of what the model hears: a change is made at this rate and brought to the clip's own."""
        return self._model.sample_rate

    @property
    def identity(self) -> str:
        """The identity of the model: of its weights, and of how it reads a clip where that is its own."""
        return self._model.identity

    def recipe(self, snr_db: float | None) -> Recipe:
        """Return the recipe of its dreams within a budget; None is the one step, of any size."""
        objective = self._model.objective
        values: dict[str, Any] = {"objective": objective, "peak": _NO_LIMIT}
        if snr_db is None:
            values |= {"steps": 1, "step_size": 1.0, "update": "sign", "keep": "last", "hold": None}
        else:
            values |= {"steps": self._steps, "snr_db": snr_db, "hold": HOLD[objective]}
        return Recipe.model_validate(values)

    def _dreamer(self, snr_db: float | None, every_step: bool) -> Dreamer:
        if (snr_db, every_step) not in self._dreamers:
            recipe = self.recipe(snr_db)
            if every_step:
                recipe = Recipe.model_validate({**recipe.model_dump(exclude_unset=True), "hold": None})
            self._dreamers[snr_db, every_step] = Dreamer(self._model, recipe)
        return self._dreamers[snr_db, every_step]


class Bench:
    """The clips of a batch, and the dreams of the budget that is being tried."""

    def __init__(self, trial: Trial, subjects: Sequence[Subject]):
        self.trial, self.subjects = trial, subjects
        self._made: dict[tuple[str, bool], tuple[float, list[np.ndarray | None]]] = {}
        self._step: list[np.ndarray | None] | None = None

    def dreams(self, through: str, snr_db: float, *, targeted: bool) -> list[np.ndarray | None]:
        """Return what dreams change (`Route.changes`), made once for each budget.

        A dream that arrived at the last budget is turned up to this one and kept if it still leads: only the others
        are dreamed anew, which saves most of the steps where budgets grow from one call to the next. A dream that
        arrives early has used a part of its budget; where it no longer leads with all of it, it is dreamed anew and
        takes every step, as its steps then go on within the whole budget.
        """
        budget, found = self._made.get((through, targeted), (None, []))
        if found and budget == snr_db:
            return found
        route, found = shared_route(self.trial, through), list(found or [None] * len(self.subjects))
        turned = [index for index, change in enumerate(found) if change is not None and budget and snr_db < budget]
        arrived = self._arrived(route, found, turned, snr_db, targeted=targeted)
        left = [index for index in range(len(self.subjects)) if index not in arrived]
        self._dream(route, found, left, snr_db, targeted=targeted)
        made = [index for index in left if found[index] is not None]
        early = self._arrived(route, found, made, None, targeted=targeted)
        lost = sorted(early - self._arrived(route, found, made, snr_db, targeted=targeted))
        self._dream(route, found, lost, snr_db, targeted=targeted, every_step=True)
        self._made[through, targeted] = (snr_db, found)
        return found

    def _dream(
        self, route: Route, found: list[np.ndarray | None], rows: Sequence[int], snr_db: float, **how: bool
    ) -> None:
        """Put the changes of some clips, dreamed anew, in their places."""
        for index, change in zip(rows, route.changes([self.subjects[row] for row in rows], snr_db, **how), strict=True):
            found[index] = change

    def _arrived(
        self,
        route: Route,
        changes: Sequence[np.ndarray | None],
        rows: Sequence[int],
        snr_db: float | None,
        *,
        targeted: bool,
    ) -> set[int]:
        """Return which of some clips lead with their change, brought to an SNR; None: with the change as it is."""
        subjects = [self.subjects[row] for row in rows]
        rate = route.sample_rate
        sounds = [_changed(subject, changes[row], snr_db, rate) for row, subject in zip(rows, subjects, strict=True)]
        ahead = route.leads(subjects, sounds, targeted=targeted) >= route.hold
        return {row for row, leads in zip(rows, ahead, strict=True) if leads}

    def first_step(self) -> list[np.ndarray | None]:
        """Return what one step along the sign of the classifier's gradient changes, untargeted; it has no budget."""
        if self._step is None:
            self._step = shared_route(self.trial, JUDGE).changes(self.subjects, None, targeted=False)
        return self._step


def _changed(subject: Subject, change: np.ndarray | None, snr_db: float | None, model_rate: int) -> Sound:
    assert change is not None
    sound = subject.sound
    changed = sound.waveform + change if snr_db is None else at_snr(sound.waveform, change, snr_db)
    return Sound(changed.astype(np.float32), sound.sample_rate, model_rate)


_loading = threading.Lock()


def shared_route(trial: Trial, through: str) -> Route:
    """Load what is dreamed through, once for the whole process and when it is asked for: controls need nothing.

    Args:
        trial: what is tried.
        through: `JUDGE` or `YAMNET`.

    Raises:
        JudgeError: the classifier cannot be dreamed through.
        WeightsError: YAMNet's weights are not to be had.
    """
    with _loading:
        return _load(trial, through)


def forget_routes() -> None:
    """Load models anew from now on: a file has changed."""
    _load.cache_clear()
    forget_models()


@functools.lru_cache(maxsize=2)  # both ways of one trial
def _load(trial: Trial, through: str) -> Route:
    if through == JUDGE:
        return Route(white_box(trial.judge, trial.columns), range(len(trial.columns)), trial.steps)
    choice = Choice(dreaming_yamnet(trial.judge.weights), [index for index, _ in trial.answers])
    return Route(choice, [position for _, position in trial.answers], trial.steps)
