"""Utility: whether a classifier gets better by what it is trained on, measured over folds, seeds and few clips.

A trial trains one classifier on one arm's examples of the training folds and tries it on every view of the test fold;
its outcomes are kept in a file as soon as it is finished. `summarise` takes the outcomes of all trials of an arm: the
accuracy on each test set, its difference from the arm "none" and from the best conventional arm, on the same clips,
with 95 % intervals drawn over the clips' groups (`evaluation.metrics.intervals`).

An outcome of a clip is the mean over seeds, which draw the few clips and start the classifier: intervals tell how
much the figures would differ on other clips, with seeds averaged out.
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

from augment.ascent.recipe import canonical_json
from evaluation.metrics.intervals import Estimate, mean_intervals
from evaluation.utility.classifiers import CLASSIFIERS
from evaluation.utility.corruptions import CORRUPTIONS
from evaluation.utility.dream_views import YAMNET, DreamSpec
from evaluation.utility.folds import draw_shots, splits
from evaluation.utility.training_sets import ARMS, ORIGINAL, Arm, Kitchen, make_examples, slots
from evaluation.utility.views import Corrupted, Maker, Original

BASELINE = "none"

CLEAN, CORRUPTED = "clean", "corrupted"
"""Test sets: the clips as they came, and the mean over all of `CORRUPTIONS`."""

DREAMED: dict[str, DreamSpec] = {
    "dreamed": DreamSpec({"snr_db": 25, "steps": 20}, "random", seed=1001),
    "away": DreamSpec({"snr_db": 25, "steps": 20}, "away", seed=1001),
    "filtered": DreamSpec(
        {"transform": "gain_filter", "snr_db": 20, "steps": 30, "step_size": 0.14}, "random", seed=1001
    ),
    "transferred": DreamSpec({"snr_db": 25, "steps": 20}, "away", seed=1001, through="crnn"),
}
"""Dreamed test sets, by draws that no training example is made by: through YAMNet, and through a stranger to it."""

CORRUPTION_SEED = 0


@dataclass(frozen=True)
class Course:
    """What is tried for one classifier with so many clips.

    Attributes:
        classifier: key of `CLASSIFIERS`.
        shots: clips of each class, None for all.
        seeds: how many.
    """

    classifier: str
    shots: int | None
    seeds: int

    @property
    def name(self) -> str:
        """For files and tables."""
        return f"{self.classifier}, {'all' if self.shots is None else self.shots}"


@dataclass
class Bench:
    """Where trials are made.

    Attributes:
        kitchen: what examples are made with.
        folder: where outcomes are kept.
        arms: by name.
    """

    kitchen: Kitchen
    folder: Path
    arms: Mapping[str, Arm]

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.splits = splits(self.kitchen.store.clips)
        self.tests = self._tests()

    def _tests(self) -> dict[str, Maker]:
        made: dict[str, Maker] = {CLEAN: Original()}
        made |= {name: Corrupted(name, CORRUPTION_SEED) for name in CORRUPTIONS}
        return made | {
            name: self.kitchen.dreams_by(spec)
            for name, spec in DREAMED.items()
            if spec.through == YAMNET or spec.through in self.kitchen.others
        }

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of `gather`: the test sets, all corruptions as one."""
        return (CLEAN, CORRUPTED, *(name for name in self.tests if name in DREAMED))

    def makers(self, courses: Sequence[Course]) -> Iterator[tuple[str, Maker, int]]:
        """Give all views that the test sets and the arms of some courses need: a name, the maker and the variant."""
        for name, maker in self.tests.items():
            yield name, maker, 0
        needed = [
            (each.what, variant)
            for course in courses
            for arm in arms_for(course, list(self.arms), self.arms)
            for each, variant in slots(self.arms[arm], CLASSIFIERS[course.classifier].examples)
        ]
        for what, variant in dict.fromkeys(needed):
            if what not in (ORIGINAL, "mixup", "masked"):
                yield what, self.kitchen.maker(what), variant

    def outcomes(self, course: Course, arm: str, seed: int) -> np.ndarray:
        """Train and try an arm over all folds, or read what came out before.

        Returns:
            bool [clips, test sets]: which clips were told right, each in its own fold.
        """
        path = self.folder / f"{self._digest(course, arm, seed)[:32]}.npy"
        if path.exists():
            return np.load(path, allow_pickle=False)
        found = self._try(course, arm, seed)
        partial = path.with_suffix(".partial")
        with open(partial, "wb") as file:
            np.save(file, found)
        os.replace(partial, path)
        return found

    @threadpool_limits.wrap(limits=1, user_api="blas")  # the matrices are small: threads would wait for each other
    def _try(self, course: Course, arm: str, seed: int) -> np.ndarray:
        kitchen, classifier = self.kitchen, CLASSIFIERS[course.classifier]
        clips = kitchen.store.clips
        truth = np.array([kitchen.labels.index(clip.label) for clip in clips])
        found = np.zeros((len(clips), len(self.tests)), bool)
        for split in self.splits:
            train = draw_shots(clips, split.train, course.shots, seed)
            features, labels = make_examples(self.arms[arm], kitchen, train, classifier, seed)
            predict = classifier.fit(features, labels, seed)
            test = list(split.test)
            for column, maker in enumerate(self.tests.values()):
                views = kitchen.store.features(maker, classifier.takes)[test]
                found[test, column] = predict(views).argmax(axis=1) == truth[test]
        return found

    def _digest(self, course: Course, arm: str, seed: int) -> str:
        made, classifier = self.arms[arm], CLASSIFIERS[course.classifier]
        drawn = course.shots is not None or classifier.drawn or made.drawn
        chosen = slots(made, classifier.examples)
        parts = [[each.what, each.label, self.kitchen.maker(each.what).key(), n] for each, n in chosen]
        about = {
            "store": self.kitchen.store.digest,
            "folds": [[clip.fold, clip.group] for clip in self.kitchen.store.clips],
            "tests": [[name, maker.key()] for name, maker in self.tests.items()],
            "slots": parts,
            "classifier": [course.classifier, classifier.about],
            "shots": course.shots,
            "seed": seed if drawn else 0,  # the others would come out the same
        }
        return hashlib.sha256(canonical_json(about).encode()).hexdigest()

    def run(self, course: Course, arm: str, on_trial: Callable[[], None] | None = None) -> np.ndarray:
        """Return an arm's outcomes, the mean over seeds: float64 [clips, test sets], corruptions in one column."""
        total = np.zeros((len(self.kitchen.store.clips), len(self.tests)))
        for seed in range(course.seeds):
            total += self.outcomes(course, arm, seed)
            if on_trial:
                on_trial()
        return total / course.seeds


def gather(outcomes: np.ndarray) -> np.ndarray:
    """Put the corruptions into one column: [clips, clean, corrupted, dreamed ...] of [clips, test sets]."""
    last = 1 + len(CORRUPTIONS)
    return np.column_stack([outcomes[:, 0], outcomes[:, 1:last].mean(axis=1), outcomes[:, last:]])


def summarise(
    course: Course,
    outcomes: Mapping[str, np.ndarray],
    arms: Mapping[str, Arm],
    groups: Sequence[str],
    names: Sequence[str],
) -> list[dict[str, Any]]:
    """Return a row for each arm of a course.

    Args:
        course: what was tried.
        outcomes: by arm, [clips, test sets] of `Bench.run`; "none" among them.
        arms: by name.
        groups: of the clips.
        names: of the columns (`Bench.columns`).

    Returns:
        {classifier, shots, seeds, arm, title, kind, sets: {column: {accuracy, gain, over_best}}, by_corruption}; a gain
        is over none, `over_best` over the conventional arm that is best on the clean clips; each {value, low, high}.
    """
    columns = {arm: gather(each) for arm, each in outcomes.items()}
    conventional = [arm for arm in outcomes if arms[arm].kind == "conventional"]
    best = max(conventional, key=lambda arm: columns[arm][:, 0].mean(), default=None)
    rows = []
    for arm, found in columns.items():
        accuracy = mean_intervals(found, groups)
        gain = mean_intervals(found - columns[BASELINE], groups)
        over = mean_intervals(found - columns[best], groups) if best else [None] * len(names)
        sets = {
            name: {"accuracy": figure(a), "gain": figure(g), "over_best": o and figure(o)}
            for name, a, g, o in zip(names, accuracy, gain, over, strict=True)
        }
        last = 1 + len(CORRUPTIONS)
        by_corruption = dict(zip(CORRUPTIONS, outcomes[arm][:, 1:last].mean(axis=0).round(4).tolist(), strict=True))
        rows.append(
            {
                "classifier": course.classifier,
                "shots": course.shots,
                "seeds": course.seeds,
                "arm": arm,
                "title": arms[arm].title,
                "kind": arms[arm].kind,
                "best_conventional": best,
                "sets": sets,
                "by_corruption": by_corruption,
            }
        )
    return rows


def figure(found: Estimate) -> dict[str, float]:
    """Return an estimate as it is stored."""
    return {"value": round(found.value, 4), "low": round(found.low, 4), "high": round(found.high, 4)}


def arms_for(course: Course, names: Sequence[str], arms: Mapping[str, Arm] = ARMS) -> list[str]:
    """Return the arms that a course's classifier has, "none" first."""
    chosen = [name for name in names if not arms[name].classifiers or course.classifier in arms[name].classifiers]
    return [BASELINE, *(name for name in chosen if name != BASELINE)]
