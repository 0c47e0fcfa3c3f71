"""The utility study: how much a classifier improves by its training set, over folds, seeds and few clips.

A run trains one classifier on one training set of the training folds, and tests it on every view of the test fold. Its
outcomes are stored as soon as it is finished. `summarise` takes the outcomes of all runs of a set: the accuracy on each
test set, and its difference from the set "none" and from the best conventional set, on the same clips, with 95 %
intervals over the clips' groups (`evaluation.metrics.intervals`).

The outcome of a clip is the mean over seeds, which draw the few clips and initialise the classifier: intervals describe
other clips, with seeds averaged out.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from augment.recipes.recipe import canonical_json
from evaluation.metrics.intervals import Estimate, mean_intervals
from evaluation.utility.classifiers import CLASSIFIERS
from evaluation.utility.corruptions import CORRUPTIONS
from evaluation.utility.dream_views import YAMNET, DreamSpec
from evaluation.utility.folds import draw_shots, splits
from evaluation.utility.training_sets import (
    MASKED,
    MIXUP,
    ORIGINAL,
    TRAINING_SETS,
    StudyData,
    TrainingSet,
    make_examples,
    slots,
)
from evaluation.utility.views import Corrupted, Original, ViewMaker

BASELINE = "none"

CLEAN, CORRUPTED = "clean", "corrupted"
"""Test sets: the unchanged clips, and the mean over all of `CORRUPTIONS`."""

DREAMED: dict[str, DreamSpec] = {
    "dreamed": DreamSpec({"snr_db": 25, "steps": 20}, "random", seed=1001),
    "away": DreamSpec({"snr_db": 25, "steps": 20}, "away", seed=1001),
    "filtered": DreamSpec(
        {"transform": "gain_filter", "snr_db": 20, "steps": 30, "step_size": 0.14}, "random", seed=1001
    ),
    "transferred": DreamSpec({"snr_db": 25, "steps": 20}, "away", seed=1001, through="crnn"),
}
"""Dreamed test sets, with draws of their own, through YAMNet and through an unrelated model."""

CORRUPTION_SEED = 0


@dataclass(frozen=True)
class Condition:
    """A classifier, key of `CLASSIFIERS`, clips of each class (`shots`, None for all) and seeds to average over."""

    classifier: str
    shots: int | None
    seeds: int

    @property
    def name(self) -> str:
        """For files and tables."""
        return f"{self.classifier}, {'all' if self.shots is None else self.shots}"

    def sets(self, names: Sequence[str], sets: Mapping[str, TrainingSet] = TRAINING_SETS) -> list[str]:
        """Return the training sets for its classifier, "none" first."""
        chosen = [name for name in names if not sets[name].classifiers or self.classifier in sets[name].classifiers]
        return [BASELINE, *(name for name in chosen if name != BASELINE)]


@dataclass
class Study:
    """Trains and tests classifiers on training sets, by name; the folder keeps outcomes."""

    data: StudyData
    folder: Path
    sets: Mapping[str, TrainingSet]

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.splits = splits(self.data.store.clips)
        self.tests: dict[str, ViewMaker] = {CLEAN: Original()}
        self.tests |= {name: Corrupted(name, CORRUPTION_SEED) for name in CORRUPTIONS}
        for name, spec in DREAMED.items():
            if spec.through == YAMNET or spec.through in self.data.others:
                self.tests[name] = self.data.dreams_by(spec)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of `gather`: the test sets, with all corruptions as one."""
        return (CLEAN, CORRUPTED, *(name for name in self.tests if name in DREAMED))

    def makers(self, conditions: Sequence[Condition]) -> Iterator[tuple[str, ViewMaker, int]]:
        """Give all views for the test and training sets of some conditions: a name, the maker and the variant."""
        for name, maker in self.tests.items():
            yield name, maker, 0
        needed = [
            (each.what, variant)
            for condition in conditions
            for name in condition.sets(list(self.sets), self.sets)
            for each, variant in slots(self.sets[name], CLASSIFIERS[condition.classifier].examples)
        ]
        for what, variant in dict.fromkeys(needed):
            if what not in (ORIGINAL, MIXUP, MASKED):
                yield what, self.data.maker(what), variant

    def outcomes(self, condition: Condition, name: str, seed: int) -> np.ndarray:
        """Train and test a training set over all folds, or read the stored outcomes.

        Returns:
            bool [clips, test sets]: which clips were classified rightly, each in its own fold.
        """
        path = self.folder / f"{self._digest(condition, name, seed)[:32]}.npy"
        if path.exists():
            return np.load(path, allow_pickle=False)
        found = self._train_and_test(condition, name, seed)
        partial = path.with_suffix(".partial")
        with open(partial, "wb") as file:
            np.save(file, found)
        os.replace(partial, path)
        return found

    @threadpool_limits.wrap(limits=1, user_api="blas")  # the matrices are small: threads would wait for each other
    def _train_and_test(self, condition: Condition, name: str, seed: int) -> np.ndarray:
        data, classifier, clips = self.data, CLASSIFIERS[condition.classifier], self.data.store.clips
        truth = np.array([data.labels.index(clip.label) for clip in clips])
        found = np.zeros((len(clips), len(self.tests)), bool)
        for split in self.splits:
            train, test = draw_shots(clips, split.train, condition.shots, seed), list(split.test)
            predict = classifier.fit(*make_examples(self.sets[name], data, train, classifier, seed), seed)
            for column, maker in enumerate(self.tests.values()):
                views = data.store.features(maker, classifier.takes)[test]
                found[test, column] = predict(views).argmax(axis=1) == truth[test]
        return found

    def _digest(self, condition: Condition, name: str, seed: int) -> str:
        chosen, classifier, store = self.sets[name], CLASSIFIERS[condition.classifier], self.data.store
        drawn = condition.shots is not None or classifier.drawn or chosen.drawn
        used = slots(chosen, classifier.examples)
        about = {
            "store": store.digest,
            "folds": [[clip.fold, clip.group] for clip in store.clips],
            "tests": [[name, maker.key()] for name, maker in self.tests.items()],
            "slots": [[each.what, each.label, self.data.maker(each.what).key(), n] for each, n in used],
            "classifier": [condition.classifier, classifier.about],
            "shots": condition.shots,
            "seed": seed if drawn else 0,  # all seeds give the same
        }
        return hashlib.sha256(canonical_json(about).encode()).hexdigest()

    def run(self, condition: Condition, name: str, on_run: Callable[[], None] | None = None) -> np.ndarray:
        """Return the mean outcomes of a training set over seeds: float64 [clips, test sets]."""
        total = np.zeros((len(self.data.store.clips), len(self.tests)))
        for seed in range(condition.seeds):
            total += self.outcomes(condition, name, seed)
            if on_run:
                on_run()
        return total / condition.seeds


def gather(outcomes: np.ndarray) -> np.ndarray:
    """Average the corruptions into one column: [clips, clean, corrupted, dreamed ...] of [clips, test sets]."""
    last = 1 + len(CORRUPTIONS)
    return np.column_stack([outcomes[:, 0], outcomes[:, 1:last].mean(axis=1), outcomes[:, last:]])


def summarise(
    condition: Condition,
    outcomes: Mapping[str, np.ndarray],
    sets: Mapping[str, TrainingSet],
    groups: Sequence[str],
    names: Sequence[str],
) -> list[dict[str, Any]]:
    """Return a row for each training set under a condition.

    The outcomes [clips, test sets] are those of `Study.run` by set, with "none"; names are those of `Study.columns`.

    Returns:
        {classifier, shots, seeds, arm, title, kind, sets: {column: {accuracy, gain, over_best}}, by_corruption}, where
        the arm is the training set. A gain is over none, `over_best` over the conventional set that is best on the
        clean clips; each {value, low, high}.
    """
    columns = {name: gather(each) for name, each in outcomes.items()}
    conventional = [name for name in outcomes if sets[name].kind == "conventional"]
    best = max(conventional, key=lambda name: columns[name][:, 0].mean(), default=None)
    last, rows = 1 + len(CORRUPTIONS), []
    for name, found in columns.items():
        accuracy = mean_intervals(found, groups)
        gain = mean_intervals(found - columns[BASELINE], groups)
        over = mean_intervals(found - columns[best], groups) if best else [None] * len(names)
        by_corruption = outcomes[name][:, 1:last].mean(axis=0).round(4).tolist()
        rows.append(
            {
                "classifier": condition.classifier,
                "shots": condition.shots,
                "seeds": condition.seeds,
                "arm": name,
                "title": sets[name].title,
                "kind": sets[name].kind,
                "best_conventional": best,
                "sets": {
                    column: {"accuracy": figure(a), "gain": figure(g), "over_best": o and figure(o)}
                    for column, a, g, o in zip(names, accuracy, gain, over, strict=True)
                },
                "by_corruption": dict(zip(CORRUPTIONS, by_corruption, strict=True)),
            }
        )
    return rows


def figure(found: Estimate) -> dict[str, float]:
    """Return an estimate for JSON."""
    return {"value": round(found.value, 4), "low": round(found.low, 4), "high": round(found.high, 4)}
