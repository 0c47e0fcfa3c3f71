"""White box: heads on YAMNet that are dreamed against through themselves, each by its own gradients.

The dreamed test sets are the same for all arms, made through YAMNet alone. An arm may do well there because it looks
elsewhere than YAMNet does; whoever has the head itself finds that place, too. So a head is trained as in a trial, with
all clips, and every test clip is dreamed through YAMNet and that head toward whichever wrong class is nearest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from augment.ascent import Dreamer, pad_batch
from augment.heads import EMBEDDING, Head, HeadModel
from augment.recipe import Recipe
from augment.targets import Aim
from augment.yamnet import DreamingModel, padded_length
from evaluation.arms import make_examples
from evaluation.classifiers import CLASSIFIERS
from evaluation.intervals import mean_intervals
from evaluation.learning import Predict
from evaluation.utility import BASELINE, Bench, figure
from evaluation.views import Heard, Made

RECIPE: dict[str, Any] = {"objective": "mean_margin", "snr_db": 25.0, "steps": 20, "hold": 1.0, "peak": 100.0}
"""Of the dreams: those of `evaluation.bench`, no limit but the SNR."""

CLASSIFIER = "linear"


@dataclass
class HeadDreams:
    """Dreams of clips away from their labels, through the head of their fold.

    Attributes:
        heads: by fold.
        model: YAMNet.
    """

    heads: Mapping[str, Head]
    model: DreamingModel
    _dreamers: dict[str, Dreamer] = field(default_factory=dict, init=False)

    def key(self) -> dict[str, Any]:
        """Return what tells it from other makers."""
        heads = {fold: head.identity for fold, head in self.heads.items()}
        return {"kind": "white box", "recipe": Recipe.model_validate(RECIPE).model_dump(mode="json"), "heads": heads}

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
                self._dreamers[fold] = Dreamer(HeadModel(self.model, head), Recipe.model_validate(RECIPE))
            own = [head.names.index(clips[place].clip.label) for place in same]
            aims = [Aim(tuple(index for index in range(len(head.names)) if index != label)) for label in own]
            made = self._dreamers[fold](*pad_batch([clips[place].waveform for place in same]), aims).waveforms
            for place, waveform in zip(same, made, strict=True):
                found[place] = Made(waveform[: len(clips[place].waveform)], clips[place].clip.label)
        return [found[place] for place in range(len(clips))]


def try_head(bench: Bench, arm: str, on_clips: Callable[[int], None] | None = None) -> np.ndarray:
    """Train an arm's heads on all clips, and dream the test clips through them.

    Returns:
        bool [clips]: which dreamed clips are still told right, each by the head of its own fold.
    """
    kitchen = bench.kitchen
    clips, takes = kitchen.store.clips, CLASSIFIERS[CLASSIFIER].takes
    predictors: dict[str, Predict] = {}
    for split in bench.splits:
        features, labels = make_examples(bench.arms[arm], kitchen, split.train, takes, 0)
        predictors[split.fold] = CLASSIFIERS[CLASSIFIER].fit(features, labels, 0)
    heads = {fold: _head(predict, kitchen.labels) for fold, predict in predictors.items()}
    views = kitchen.store.views(HeadDreams(heads, kitchen.model), 0, on_clips)
    found = np.zeros(len(clips), bool)
    for split in bench.splits:
        test = list(split.test)
        said = heads[split.fold].logits(views.embeddings[test]).argmax(axis=1)
        found[test] = [kitchen.labels[index] == clips[place].label for index, place in zip(said, test, strict=True)]
    return found


def summarise_heads(found: Mapping[str, np.ndarray], groups: Sequence[str]) -> dict[str, Any]:
    """Return {arm: {accuracy, gain}} of outcomes by arm, "none" among them; a gain is over none's own heads."""
    summary = {}
    for arm, outcome in found.items():
        values = np.column_stack([outcome, outcome.astype(float) - found[BASELINE]])
        accuracy, gain = mean_intervals(values, groups)
        summary[arm] = {"accuracy": figure(accuracy), "gain": figure(gain)}
    return summary


def _head(predict: Predict, names: tuple[str, ...]) -> Head:
    """Read the weights off a linear classifier, whose logits are W e + b."""
    bias = predict(np.zeros((1, EMBEDDING)))[0]
    return Head((predict(np.eye(EMBEDDING)) - bias).astype(np.float32), bias.astype(np.float32), names)
