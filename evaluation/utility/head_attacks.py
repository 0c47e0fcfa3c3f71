"""White box: heads on YAMNet that are dreamed against through themselves, each by its own gradients.

The dreamed test sets are the same for all arms, made through YAMNet alone. An arm may do well there because it looks
elsewhere than YAMNet does; whoever has the head itself finds that place, too. So a head is trained as in a trial, with
all clips, and every test clip is dreamed through YAMNet and that head toward whichever wrong class is nearest; and
through the head of "none", too, which is what someone has who knows the data and not the training.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from augment.ascent.loop import Dreamer, pad_batch
from augment.ascent.recipe import Recipe
from augment.models.heads import EMBEDDING, Head, HeadModel
from augment.models.yamnet import DreamingModel, padded_length
from augment.targets.policies import Aim
from evaluation.metrics.intervals import mean_intervals
from evaluation.utility.adam import Predict
from evaluation.utility.classifiers import CLASSIFIERS
from evaluation.utility.training_sets import make_examples
from evaluation.utility.utility_study import BASELINE, Bench, figure
from evaluation.utility.views import Heard, Made

OnClips = Callable[[str, int], None]

RECIPE: dict[str, Any] = {"objective": "mean_margin", "steps": 20, "hold": 1.0, "peak": 100.0}
"""Of the dreams: those of `evaluation.robustness.attacks`, no limit but the SNR."""

SNRS = (25.0, 45.0)
"""Budgets, dB: that of the dreamed test sets, and one at which a head may hold."""

OWN, PLAIN = "own head", "head of none"

CLASSIFIER = "linear"


@dataclass
class HeadDreams:
    """Dreams of clips away from their labels, through the head of their fold.

    Attributes:
        heads: by fold.
        model: YAMNet.
        snr_db: of the dreams.
    """

    heads: Mapping[str, Head]
    model: DreamingModel
    snr_db: float
    _dreamers: dict[str, Dreamer] = field(default_factory=dict, init=False)

    def key(self) -> dict[str, Any]:
        """Return what tells it from other makers."""
        heads = {fold: head.identity for fold, head in self.heads.items()}
        return {"kind": "white box", "recipe": self._recipe().model_dump(mode="json"), "heads": heads}

    def make(self, clips: Sequence[Heard], variant: int) -> list[Made]:
        """Dream the clips."""
        del variant
        found: dict[int, Made] = {}
        places: dict[tuple[str, int], list[int]] = {}
        for place, each in enumerate(clips):
            places.setdefault((each.clip.fold, padded_length(len(each.waveform))), []).append(place)
        for (fold, _), same in places.items():
            head = self.heads[fold]
            if fold not in self._dreamers:
                self._dreamers[fold] = Dreamer(HeadModel(self.model, head), self._recipe())
            own = [head.names.index(clips[place].clip.label) for place in same]
            aims = [Aim(tuple(index for index in range(len(head.names)) if index != label)) for label in own]
            made = self._dreamers[fold](*pad_batch([clips[place].waveform for place in same]), aims).waveforms
            for place, waveform in zip(same, made, strict=True):
                found[place] = Made(waveform[: len(clips[place].waveform)], clips[place].clip.label)
        return [found[place] for place in range(len(clips))]

    def _recipe(self) -> Recipe:
        return Recipe.model_validate({**RECIPE, "snr_db": self.snr_db})


def train_heads(bench: Bench, arm: str) -> dict[str, Head]:
    """Train an arm's heads on all clips; return them by the fold that they have not seen."""
    kitchen, classifier = bench.kitchen, CLASSIFIERS[CLASSIFIER]
    found = {}
    for split in bench.splits:
        features, labels = make_examples(bench.arms[arm], kitchen, split.train, classifier, 0)
        found[split.fold] = _head(classifier.fit(features, labels, 0), kitchen.labels)
    return found


def try_heads(bench: Bench, arms: Sequence[str], on_clips: OnClips | None = None) -> dict[str, dict[str, np.ndarray]]:
    """Dream the test clips through heads, and have heads tell what they are.

    Args:
        bench: where the heads are trained.
        arms: of the heads; "none" is tried first in any case.
        on_clips: called with an arm and the number of clips that are done.

    Returns:
        By arm and column ("own head, 25 dB", "head of none, 25 dB" ...), bool [clips]: which dreamed clips are still
        told right, each by the head of its own fold.
    """
    heads = {arm: train_heads(bench, arm) for arm in dict.fromkeys([BASELINE, *arms])}
    found: dict[str, dict[str, np.ndarray]] = {arm: {} for arm in heads}
    for title, through in ((OWN, None), (PLAIN, BASELINE)):
        for snr in SNRS:
            for arm, own in heads.items():
                done = functools.partial(on_clips, arm) if on_clips else None
                dreams = HeadDreams(heads[through or arm], bench.kitchen.model, snr)
                found[arm][f"{title}, {snr:g} dB"] = _told(bench, own, dreams, done)
    return found


def _told(
    bench: Bench, heads: Mapping[str, Head], dreams: HeadDreams, on_clips: Callable[[int], None] | None
) -> np.ndarray:
    store, labels = bench.kitchen.store, bench.kitchen.labels
    embeddings = store.views(dreams, 0, on_clips).embeddings
    truth = np.array([labels.index(clip.label) for clip in store.clips])
    found = np.zeros(len(truth), bool)
    for split in bench.splits:
        test = list(split.test)
        found[test] = heads[split.fold].logits(embeddings[test]).argmax(axis=1) == truth[test]
    return found


def summarise_heads(
    found: Mapping[str, Mapping[str, np.ndarray]], groups: Sequence[str]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return {arm: {column: {accuracy, gain}}} of `try_heads`; a gain is over none, in the same column."""
    summary: dict[str, dict[str, dict[str, Any]]] = {}
    for arm, columns in found.items():
        summary[arm] = {}
        for name, outcome in columns.items():
            values = np.column_stack([outcome, outcome.astype(float) - found[BASELINE][name]])
            accuracy, gain = mean_intervals(values, groups)
            summary[arm][name] = {"accuracy": figure(accuracy), "gain": figure(gain)}
    return summary


def _head(predict: Predict, names: tuple[str, ...]) -> Head:
    """Read the weights off a linear classifier, whose logits are W e + b."""
    bias = predict(np.zeros((1, EMBEDDING)))[0]
    return Head((predict(np.eye(EMBEDDING)) - bias).astype(np.float32), bias.astype(np.float32), names)
