"""White-box attacks on linear heads: each head is attacked by dreams through itself.

The dreamed test sets are the same for all training sets, made through YAMNet alone. A head may do well there because it
relies on other features than YAMNet's classes; an attacker who has the head finds these. So a head is trained on all
clips, and every test clip is dreamed through YAMNet and that head toward the nearest wrong class. It is also dreamed
through the head of "none", the attack of someone who knows the data and not the training.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from augment.ascent.loop import Dreamer, pad_batch
from augment.models.heads import EMBEDDING, Head, HeadModel
from augment.models.yamnet import DreamingModel, padded_length
from augment.recipes.recipe import Recipe
from augment.targets.policies import Aim
from evaluation.metrics.intervals import mean_intervals
from evaluation.utility.classifiers import CLASSIFIERS
from evaluation.utility.training_sets import make_examples
from evaluation.utility.utility_study import BASELINE, Study, figure
from evaluation.utility.views import LoadedClip, View, group

RECIPE: dict[str, Any] = {"objective": "mean_margin", "steps": 20, "hold": 1.0, "peak": 100.0}
"""Of the dreams, as in `evaluation.robustness.attacks`: the SNR is the only limit."""

SNRS = (25.0, 45.0)
"""Budgets, dB: that of the dreamed test sets, and a small one."""

OWN, PLAIN = "own head", "head of none"


@dataclass
class HeadDreams:
    """Makes dreams of clips away from their labels, at an SNR, through YAMNet and the head of their fold."""

    heads: Mapping[str, Head]
    model: DreamingModel
    snr_db: float
    _dreamers: dict[str, Dreamer] = field(default_factory=dict, init=False)

    def key(self) -> dict[str, Any]:
        """Return everything that shapes the views."""
        heads = {fold: head.identity for fold, head in self.heads.items()}
        return {"kind": "white box", "recipe": self._recipe().model_dump(mode="json"), "heads": heads}

    def make(self, clips: Sequence[LoadedClip], variant: int) -> list[View]:
        """Dream the clips."""
        del variant
        found: dict[int, View] = {}
        for places in group((each.clip.fold, padded_length(len(each.waveform))) for each in clips):
            fold = clips[places[0]].clip.fold
            names = self.heads[fold].names
            if fold not in self._dreamers:
                self._dreamers[fold] = Dreamer(HeadModel(self.model, self.heads[fold]), self._recipe())
            own = [names.index(clips[place].clip.label) for place in places]
            aims = [Aim(tuple(index for index in range(len(names)) if index != label)) for label in own]
            made = self._dreamers[fold](*pad_batch([clips[place].waveform for place in places]), aims).waveforms
            for place, waveform in zip(places, made, strict=True):
                found[place] = View(waveform[: len(clips[place].waveform)], clips[place].clip.label)
        return [found[place] for place in range(len(clips))]

    def _recipe(self) -> Recipe:
        return Recipe.model_validate({**RECIPE, "snr_db": self.snr_db})


def train_heads(study: Study, name: str) -> dict[str, Head]:
    """Train the linear heads of a training set on all clips; return them by their test fold."""
    classifier, found = CLASSIFIERS["linear"], {}
    for split in study.splits:
        predict = classifier.fit(*make_examples(study.sets[name], study.data, split.train, classifier, 0), 0)
        bias = predict(np.zeros((1, EMBEDDING)))[0]  # the logits are W e + b
        kernel = predict(np.eye(EMBEDDING)) - bias
        found[split.fold] = Head(kernel.astype(np.float32), bias.astype(np.float32), study.data.labels)
    return found


def attack_heads(
    study: Study, names: Sequence[str], on_clips: Callable[[str, int], None] | None = None
) -> dict[str, dict[str, np.ndarray]]:
    """Dream the test clips through the heads of training sets and of "none", and classify them by heads.

    Returns:
        By set and column ("own head, 25 dB", "head of none, 25 dB" ...), bool [clips]: which dreamed clips the head of
        their own fold still classifies rightly.
    """
    heads = {name: train_heads(study, name) for name in dict.fromkeys([BASELINE, *names])}
    found: dict[str, dict[str, np.ndarray]] = {name: {} for name in heads}
    for title, through in ((OWN, None), (PLAIN, BASELINE)):
        for snr in SNRS:
            for name, own in heads.items():
                dreams = HeadDreams(heads[through or name], study.data.model, snr)
                study.data.store.prepare(dreams, 0, functools.partial(on_clips, name) if on_clips else None)
                found[name][f"{title}, {snr:g} dB"] = _classify(study, own, dreams)
    return found


def _classify(study: Study, heads: Mapping[str, Head], dreams: HeadDreams) -> np.ndarray:
    store, labels = study.data.store, study.data.labels
    embeddings = store.features(dreams, "embeddings")
    truth = np.array([labels.index(clip.label) for clip in store.clips])
    found = np.zeros(len(truth), bool)
    for split in study.splits:
        test = list(split.test)
        found[test] = heads[split.fold].logits(embeddings[test]).argmax(axis=1) == truth[test]
    return found


def summarise_heads(
    found: Mapping[str, Mapping[str, np.ndarray]], groups: Sequence[str]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return {set: {column: {accuracy, gain}}} of `attack_heads`; a gain is over none, in the same column."""
    summary: dict[str, dict[str, dict[str, Any]]] = {}
    for name, columns in found.items():
        summary[name] = {}
        for column, outcome in columns.items():
            values = np.column_stack([outcome, outcome.astype(float) - found[BASELINE][column]])
            accuracy, gain = mean_intervals(values, groups)
            summary[name][column] = {"accuracy": figure(accuracy), "gain": figure(gain)}
    return summary
