"""Training sets: what a classifier is trained on besides the clips themselves, at equal numbers of examples.

Every set has each training clip once, unchanged, and as many further examples of it as the classifier takes: unchanged,
augmented conventionally, dreamed, or these in turn. So all sets of a classifier have equally many examples and steps.
To add a set, list it in `TRAINING_SETS`; to add a way of dreaming, list it in `DREAMS`.

Tried and dropped, on ESC-10's folds 1 and 2. A linear head on all clips (clean, corrupted, dreamed): targets among the
own class's siblings in AudioSet's ontology, 91.8, 70.9 and 69.0 % (any class: 93.0, 73.3, 74.7); eight examples of a
clip instead of four for ``train_robust.yaml``, 94.9, 74.6 and 77.8 % (four: 94.9, 75.4, 75.3). The CNN, clean (none
71.1, audiomentations 80.3 %): eight of its sixteen examples changed by audiomentations and then dreamed toward the own
class, 79.4 %; half of each batch moved along the sign of its own gradient (Goodfellow et al. 2015), 77.0 %; mixup of
audiomentations and four times the steps, 80.6 %; twice the channels, 81.0 %, but 75.5 % with no augmentation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.special

from augment.determinism import draws
from augment.models.interface import AudioModel
from augment.models.yamnet import DreamingModel
from evaluation.utility.classifiers import Classifier, fit_linear
from evaluation.utility.conventional import Conventional, draw_mix, mask_spectrogram
from evaluation.utility.dream_views import YAMNET, Dreams, DreamSpec
from evaluation.utility.views import Original, ViewMaker, ViewStore

SEED = 0
"""Of the training examples; the test sets have their own."""

ORIGINAL, CONVENTIONAL, MIXUP, MASKED = "original", "conventional", "mixup", "masked"


@dataclass(frozen=True)
class Component:
    """Some of a set's examples.

    Attributes:
        what: `ORIGINAL`, `CONVENTIONAL`, `MIXUP`, `MASKED`, or a key of `DREAMS`.
        label: "keep" the clip's; for a dream the "target"'s, or "both" by halves; or "taught": the soft labels of a
            linear head on YAMNet that was trained on the unchanged clips (distillation, Hinton et al. 2015).
        variants: of each clip, which then repeat; None for as many as needed.
    """

    what: str
    label: str = "keep"
    variants: int | None = None


@dataclass(frozen=True)
class TrainingSet:
    """A training set: the components of its further examples, in turn, and the classifiers that it is for (none: all).

    The kind is "none", "conventional", "dream", "both" or "taught".
    """

    title: str
    kind: str
    components: tuple[Component, ...]
    classifiers: tuple[str, ...] = ()

    @property
    def drawn(self) -> bool:
        """Whether its examples depend on the seed of a run."""
        return any(each.what in (MIXUP, MASKED) for each in self.components)


_ALL_STEPS: dict[str, Any] = {"snr_db": 20, "steps": 10, "hold": None}


def _filter(snr_db: float, steps: int, **more: Any) -> dict[str, Any]:
    values = {"transform": "gain_filter", "snr_db": snr_db, "steps": steps, "step_size": 0.2}
    return {**values, **more, "frame_length": 8192, "hop": 2048}


DREAMS: dict[str, DreamSpec] = {
    "random_35": DreamSpec({"snr_db": 35, "steps": 20}, "random"),
    "random_25": DreamSpec({"snr_db": 25, "steps": 20}, "random"),
    "random_15": DreamSpec({"snr_db": 15, "steps": 20, "hold": 1.0}, "random"),
    "nearest": DreamSpec({"snr_db": 25, "steps": 20}, "nearest"),
    "away": DreamSpec({"snr_db": 25, "steps": 10}, "away"),
    "own": DreamSpec({**_ALL_STEPS, "objective": "mean_margin"}, "label"),
    "own_logit": DreamSpec({**_ALL_STEPS, "objective": "logit"}, "label"),
    "own_soft": DreamSpec({**_ALL_STEPS, "objective": "soft_margin"}, "label"),
    "layer": DreamSpec({**_ALL_STEPS, "objective": "layer"}, "keep"),
    "own_filter": DreamSpec(_filter(10, 12, objective="logit", hold=None), "label"),
    "noise": DreamSpec({"start": "white", "steps": 24, "hold": 2.0}, "label"),
    "other": DreamSpec({"snr_db": 15, "steps": 20, "hold": 1.0}, "random", "labels"),
    "other_filter": DreamSpec(_filter(5, 16, hold=1.0), "random", "labels"),
}
"""Ways of dreaming for training, by name."""


def _dreams(*names: str, label: str = "keep") -> tuple[Component, ...]:
    return tuple(Component(name, label, variants=1) for name in names)


def _between(dreams: Sequence[Component], *others: str, label: str = "keep") -> tuple[Component, ...]:
    """Let another component follow each dream."""
    more = [Component(others[place % len(others)], label) for place in range(len(dreams))]
    return tuple(each for pair in zip(dreams, more, strict=True) for each in pair)


ROBUST, FEWSHOT = _dreams("own", "random_25", "nearest"), _dreams("own")
"""The dreams of ``configs/train_robust.yaml`` and ``configs/train_fewshot.yaml``."""

_OWN_NOISE = _dreams("own", "noise")
_CONVENTIONAL, _MIXUP = Component(CONVENTIONAL), Component(MIXUP)


def _dream_set(title: str, *names: str, label: str = "keep") -> TrainingSet:
    return TrainingSet(title, "dream", _dreams(*names, label=label))


TRAINING_SETS: dict[str, TrainingSet] = {
    "none": TrainingSet("none: the clips again", "none", (Component(ORIGINAL),)),
    "audiomentations": TrainingSet("audiomentations", "conventional", (_CONVENTIONAL,)),
    "mixup": TrainingSet("mixup", "conventional", (_MIXUP,)),
    "audiomentations_mixup": TrainingSet("audiomentations and mixup", "conventional", (_CONVENTIONAL, _MIXUP)),
    "specaugment": TrainingSet("SpecAugment", "conventional", (Component(MASKED),), ("cnn",)),
    "random_35": _dream_set("dreams toward random classes, 35 dB", "random_35"),
    "random_25": _dream_set("dreams toward random classes, 25 dB", "random_25"),
    "random_15": _dream_set("dreams toward random classes, 15 dB", "random_15"),
    "nearest": _dream_set("dreams toward the nearest class", "nearest"),
    "away": _dream_set("dreams away from the top class", "away"),
    "own_logit": _dream_set("dreams toward the own class, its logit", "own_logit"),
    "own_soft": _dream_set("dreams toward the own class, its soft margin", "own_soft"),
    "layer": _dream_set("dreams on a layer", "layer"),
    "own_filter": _dream_set("filtered toward the own class", "own_filter"),
    "noise": _dream_set("noise dreamed toward the own class", "noise"),
    "other": _dream_set("dreams toward another label, own label", "other"),
    "other_both": _dream_set("dreams toward another label, both labels", "other", label="both"),
    "other_target": _dream_set("dreams toward another label, that label", "other", label="target"),
    "other_filter": _dream_set("filtered toward another label, that label", "other_filter", label="target"),
    "own_noise": TrainingSet("dreams toward the own class, of clips and of noise", "dream", _OWN_NOISE),
    "robust": TrainingSet("train_robust.yaml: toward the own, a random and the nearest class", "dream", ROBUST),
    "fewshot": TrainingSet("train_fewshot.yaml: toward the own class", "dream", FEWSHOT),
    "robust_audiomentations": TrainingSet("train_robust.yaml and audiomentations", "both", (*ROBUST, _CONVENTIONAL)),
    "fewshot_audiomentations": TrainingSet(
        "train_fewshot.yaml and audiomentations", "both", _between(FEWSHOT, CONVENTIONAL)
    ),
    "fewshot_audiomentations_mixup": TrainingSet(
        "train_fewshot.yaml, audiomentations and mixup", "both", _between(FEWSHOT * 2, CONVENTIONAL, MIXUP)
    ),
    "own_noise_audiomentations": TrainingSet(
        "own class, of clips and of noise, and audiomentations", "both", _between(_OWN_NOISE, CONVENTIONAL)
    ),
    "own_noise_audiomentations_mixup": TrainingSet(
        "own class, of clips and of noise, audiomentations and mixup", "both", _between(_OWN_NOISE, CONVENTIONAL, MIXUP)
    ),
    "mixed_audiomentations": TrainingSet(
        "random_15, noise and audiomentations", "both", _between(_dreams("random_15", "noise"), CONVENTIONAL)
    ),
    "other_filter_audiomentations": TrainingSet(
        "filtered toward another label, noise and audiomentations",
        "both",
        _between((*_dreams("other_filter", label="target"), *_dreams("noise")), CONVENTIONAL),
    ),
    "audiomentations_taught": TrainingSet(
        "audiomentations, labels by a head on YAMNet", "taught", (Component(CONVENTIONAL, "taught"),), ("cnn",)
    ),
    "mixed_taught": TrainingSet(
        "random_15, noise and audiomentations, labels by a head on YAMNet",
        "taught",
        _between(_dreams("random_15", "noise", label="taught"), CONVENTIONAL, label="taught"),
        ("cnn",),
    ),
}
"""The training sets by name, in the order of tables."""


@dataclass(frozen=True)
class StudyData:
    """The clips' views, and what makes examples of them.

    Attributes:
        store: of views.
        model: YAMNet, to dream through.
        label_classes: YAMNet's class by label, for labels that mean one.
        dreams: ways of dreaming, by name.
        labels: all of them; the columns of soft labels.
        others: other models to dream through, by their name in specifications.
    """

    store: ViewStore
    model: DreamingModel
    label_classes: Mapping[str, int]
    dreams: Mapping[str, DreamSpec]
    labels: tuple[str, ...]
    others: Mapping[str, AudioModel] = field(default_factory=dict)

    def dreams_by(self, spec: DreamSpec) -> Dreams:
        """Return the maker of a specification's dreams."""
        if spec.through == YAMNET:
            return Dreams(spec, self.model, self.label_classes)
        return Dreams(spec, self.others[spec.through], {})

    def maker(self, what: str) -> ViewMaker:
        """Return the maker of a component's views; mixtures and masks use the originals."""
        if what in self.dreams:
            return self.dreams_by(self.dreams[what])
        return Conventional(SEED) if what == CONVENTIONAL else Original()

    def one_hot(self, labels: Sequence[str]) -> np.ndarray:
        """Return soft labels that are certain, float64 [examples, labels]."""
        return np.eye(len(self.labels))[[self.labels.index(label) for label in labels]]


def slots(chosen: TrainingSet, count: int) -> list[tuple[Component, int]]:
    """Return the component and the variant of each of a clip's `count` further examples."""
    turns = len(chosen.components)
    used = [(chosen.components[slot % turns], slot // turns) for slot in range(count)]
    return [(each, turn % (each.variants or count)) for each, turn in used]


def make_examples(
    chosen: TrainingSet, data: StudyData, train: Sequence[int], classifier: Classifier, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Make a set's examples of some clips, at positions `train`; the seed draws mixtures and masks.

    Returns:
        Features [examples, ...], and soft labels float64 [examples, labels]: the clips first, then slot by slot.
    """
    plain = data.store.features(Original(), classifier.takes)[list(train)]
    hot = data.one_hot([data.store.clips[place].label for place in train])
    features, labels = [plain], [hot]
    for component, variant in slots(chosen, classifier.examples):
        if component.what in (MIXUP, MASKED):
            ids = [data.store.clips[place].id for place in train]
            numbers = [draws.draw(seed, id_, variant, component.what) for id_ in ids]
            made = _mask(plain, hot, numbers) if component.what == MASKED else _mix(plain, hot, numbers)
        else:
            made = _view(component, data, train, classifier.takes, variant, hot)
        features.append(made[0])
        labels.append(made[1])
    return np.concatenate(features), np.concatenate(labels)


def _view(
    component: Component, data: StudyData, train: Sequence[int], takes: str, variant: int, hot: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    rows, maker, number = list(train), data.maker(component.what), 0 if component.what == ORIGINAL else variant
    if component.label == "taught":
        own = data.store.features(Original(), "embeddings")[rows]
        embeddings = data.store.features(maker, "embeddings", number)[rows]
        labels = scipy.special.softmax(fit_linear(own, hot, 0)(embeddings), axis=1)
    else:
        target = data.one_hot(data.store.features(maker, "labels", number)[rows].tolist())
        labels = {"keep": hot, "target": target, "both": (hot + target) / 2}[component.label]
    return data.store.features(maker, takes, number)[rows], labels


def _mask(plain: np.ndarray, hot: np.ndarray, numbers: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    return np.stack([mask_spectrogram(each, number) for each, number in zip(plain, numbers, strict=True)]), hot


def _mix(plain: np.ndarray, hot: np.ndarray, numbers: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    features, labels = [], []
    for place, number in enumerate(numbers):
        other, share = draw_mix(len(numbers), number)
        features.append(share * plain[place] + (1 - share) * plain[other])
        labels.append(share * hot[place] + (1 - share) * hot[other])
    return np.stack(features), np.stack(labels)
