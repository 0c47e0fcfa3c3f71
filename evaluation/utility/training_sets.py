"""Arms: what a classifier is trained on besides the clips themselves, at equal numbers of examples.

Every arm gives each training clip once as it came, and so many times more as the classifier takes: as it came again,
augmented in a conventional way, dreamed, or these in turn. All arms of a classifier have then the same number of
examples, and take the same number of steps. To add an arm, list it in `ARMS`; to add a way of dreaming, list it in
`DREAMS`.

Tried and not kept, on ESC-10's folds 1 and 2. A linear head on all clips (clean, corrupted, dreamed): targets among the
own class's siblings in AudioSet's ontology, 91.8, 70.9 and 69.0 % (any class: 93.0, 73.3, 74.7); eight examples of a
clip in place of four for ``train_robust.yaml``, 94.9, 74.6 and 77.8 % (four: 94.9, 75.4, 75.3). The CNN, clean (none
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
from evaluation.utility.folds import Clip
from evaluation.utility.views import Maker, Original, Store

SEED = 0
"""Of what is made for training; the test sets have their own."""

ORIGINAL, CONVENTIONAL, MIXUP, MASKED = "original", "conventional", "mixup", "masked"

KINDS = ("none", "conventional", "dream", "both", "taught")


@dataclass(frozen=True)
class Ingredient:
    """What some of an arm's examples are.

    Attributes:
        what: `ORIGINAL`, `CONVENTIONAL`, `MIXUP`, `MASKED`, or a key of `DREAMS`.
        label: "keep" the clip's; of a dream the "target"'s, or "both" by halves; or "taught", soft labels: what a
            linear head on YAMNet, trained on the same clips as they came, says of the example (distillation, Hinton et
            al. 2015).
        variants: how many there are of each clip, None for as many as are wanted; then they come again.
    """

    what: str
    label: str = "keep"
    variants: int | None = None


@dataclass(frozen=True)
class Arm:
    """One arm.

    Attributes:
        title: for tables.
        kind: of `KINDS`.
        ingredients: that the examples are in turn.
        classifiers: that it is for; none means all.
    """

    title: str
    kind: str
    ingredients: tuple[Ingredient, ...]
    classifiers: tuple[str, ...] = ()

    @property
    def drawn(self) -> bool:
        """Whether the seed of a trial shapes its examples."""
        return any(each.what in (MIXUP, MASKED) for each in self.ingredients)


_ALL_STEPS: dict[str, Any] = {"snr_db": 20, "steps": 10, "hold": None}

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
    "own_filter": DreamSpec(
        {
            "transform": "gain_filter",
            "snr_db": 10,
            "steps": 12,
            "step_size": 0.2,
            "objective": "logit",
            "hold": None,
            "frame_length": 8192,
            "hop": 2048,
        },
        "label",
    ),
    "noise": DreamSpec({"start": "white", "steps": 24, "hold": 2.0}, "label"),
    "other": DreamSpec({"snr_db": 15, "steps": 20, "hold": 1.0}, "random", "labels"),
    "other_filter": DreamSpec(
        {
            "transform": "gain_filter",
            "snr_db": 5,
            "steps": 16,
            "step_size": 0.2,
            "hold": 1.0,
            "frame_length": 8192,
            "hop": 2048,
        },
        "random",
        "labels",
    ),
}
"""Ways of dreaming for training, by name."""


def _dreams(*names: str, label: str = "keep") -> tuple[Ingredient, ...]:
    return tuple(Ingredient(name, label, variants=1) for name in names)


def _between(dreams: Sequence[Ingredient], *others: str, label: str = "keep") -> tuple[Ingredient, ...]:
    """Let each dream be followed by one that is no dream."""
    more = [Ingredient(others[place % len(others)], label) for place in range(len(dreams))]
    return tuple(each for pair in zip(dreams, more, strict=True) for each in pair)


ROBUST, FEWSHOT = _dreams("own", "random_25", "nearest"), _dreams("own")
"""What ``configs/train_robust.yaml`` and ``configs/train_fewshot.yaml`` make."""

_OWN_NOISE = _dreams("own", "noise")

ARMS: dict[str, Arm] = {
    "none": Arm("none: the clips again", "none", (Ingredient(ORIGINAL),)),
    "audiomentations": Arm("audiomentations", "conventional", (Ingredient(CONVENTIONAL),)),
    "mixup": Arm("mixup", "conventional", (Ingredient(MIXUP),)),
    "audiomentations_mixup": Arm(
        "audiomentations and mixup", "conventional", (Ingredient(CONVENTIONAL), Ingredient(MIXUP))
    ),
    "specaugment": Arm("SpecAugment", "conventional", (Ingredient(MASKED),), ("cnn",)),
    "random_35": Arm("dreams toward random classes, 35 dB", "dream", _dreams("random_35")),
    "random_25": Arm("dreams toward random classes, 25 dB", "dream", _dreams("random_25")),
    "random_15": Arm("dreams toward random classes, 15 dB", "dream", _dreams("random_15")),
    "nearest": Arm("dreams toward the nearest class", "dream", _dreams("nearest")),
    "away": Arm("dreams away from the top class", "dream", _dreams("away")),
    "own_logit": Arm("dreams toward the own class, its logit", "dream", _dreams("own_logit")),
    "own_soft": Arm("dreams toward the own class, its soft margin", "dream", _dreams("own_soft")),
    "layer": Arm("dreams on a layer", "dream", _dreams("layer")),
    "own_filter": Arm("filtered toward the own class", "dream", _dreams("own_filter")),
    "noise": Arm("noise dreamed toward the own class", "dream", _dreams("noise")),
    "other": Arm("dreams toward another label, own label", "dream", _dreams("other")),
    "other_both": Arm("dreams toward another label, both labels", "dream", _dreams("other", label="both")),
    "other_target": Arm("dreams toward another label, that label", "dream", _dreams("other", label="target")),
    "other_filter": Arm("filtered toward another label, that label", "dream", _dreams("other_filter", label="target")),
    "own_noise": Arm("dreams toward the own class, of clips and of noise", "dream", _OWN_NOISE),
    "robust": Arm("train_robust.yaml: toward the own, a random and the nearest class", "dream", ROBUST),
    "fewshot": Arm("train_fewshot.yaml: toward the own class", "dream", FEWSHOT),
    "robust_audiomentations": Arm("train_robust.yaml and audiomentations", "both", (*ROBUST, Ingredient(CONVENTIONAL))),
    "fewshot_audiomentations": Arm("train_fewshot.yaml and audiomentations", "both", _between(FEWSHOT, CONVENTIONAL)),
    "fewshot_audiomentations_mixup": Arm(
        "train_fewshot.yaml, audiomentations and mixup", "both", _between(FEWSHOT * 2, CONVENTIONAL, MIXUP)
    ),
    "own_noise_audiomentations": Arm(
        "own class, of clips and of noise, and audiomentations", "both", _between(_OWN_NOISE, CONVENTIONAL)
    ),
    "own_noise_audiomentations_mixup": Arm(
        "own class, of clips and of noise, audiomentations and mixup", "both", _between(_OWN_NOISE, CONVENTIONAL, MIXUP)
    ),
    "mixed_audiomentations": Arm(
        "random_15, noise and audiomentations", "both", _between(_dreams("random_15", "noise"), CONVENTIONAL)
    ),
    "other_filter_audiomentations": Arm(
        "filtered toward another label, noise and audiomentations",
        "both",
        _between((*_dreams("other_filter", label="target"), *_dreams("noise")), CONVENTIONAL),
    ),
    "audiomentations_taught": Arm(
        "audiomentations, labels by a head on YAMNet", "taught", (Ingredient(CONVENTIONAL, "taught"),), ("cnn",)
    ),
    "mixed_taught": Arm(
        "random_15, noise and audiomentations, labels by a head on YAMNet",
        "taught",
        _between(_dreams("random_15", "noise", label="taught"), CONVENTIONAL, label="taught"),
        ("cnn",),
    ),
}
"""The arms by name, in the order of tables."""


@dataclass(frozen=True)
class Kitchen:
    """All that examples are made with.

    Attributes:
        store: of views.
        model: what is dreamed through.
        label_classes: YAMNet's class by label, as far as labels mean one.
        dreams: ways of dreaming, by name.
        labels: all of them; the columns of soft labels.
        others: what is dreamed through besides, by the name that specs call it.
    """

    store: Store
    model: DreamingModel
    label_classes: Mapping[str, int]
    dreams: Mapping[str, DreamSpec]
    labels: tuple[str, ...]
    others: Mapping[str, AudioModel] = field(default_factory=dict)

    def dreams_by(self, spec: DreamSpec) -> Dreams:
        """Return what dreams clips as a spec says."""
        if spec.through == YAMNET:
            return Dreams(spec, self.model, self.label_classes)
        return Dreams(spec, self.others[spec.through], {})

    def maker(self, what: str) -> Maker:
        """Return what makes an ingredient's views; mixtures and masks are made of the originals."""
        if what in self.dreams:
            return self.dreams_by(self.dreams[what])
        return Conventional(SEED) if what == CONVENTIONAL else Original()


def slots(arm: Arm, count: int) -> list[tuple[Ingredient, int]]:
    """Return what each of an arm's examples of a clip is, so many beside itself, and which variant of it."""
    turns = len(arm.ingredients)
    chosen = [(arm.ingredients[slot % turns], slot // turns) for slot in range(count)]
    return [(each, turn % (each.variants or count)) for each, turn in chosen]


def make_examples(
    arm: Arm, kitchen: Kitchen, train: Sequence[int], classifier: Classifier, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Make an arm's examples of some clips.

    Args:
        arm: which.
        kitchen: what with.
        train: positions of the clips.
        classifier: what they are for.
        seed: of mixtures and masks.

    Returns:
        Features [examples, ...], and soft labels float64 [examples, labels]: the clips first, then slot by slot.
    """
    clips, takes = kitchen.store.clips, classifier.takes
    plain = kitchen.store.features(Original(), takes)[list(train)]
    hot = np.eye(len(kitchen.labels))[[kitchen.labels.index(clips[place].label) for place in train]]
    features, labels = [plain], [hot]
    for ingredient, variant in slots(arm, classifier.examples):
        if ingredient.what in (MIXUP, MASKED):
            made = _mix(plain, hot, [clips[place] for place in train], variant, seed, masked=ingredient.what == MASKED)
        else:
            made = _view(ingredient, kitchen, train, takes, variant, hot)
        features.append(made[0])
        labels.append(made[1])
    return np.concatenate(features), np.concatenate(labels)


def _view(
    ingredient: Ingredient, kitchen: Kitchen, train: Sequence[int], takes: str, variant: int, hot: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    maker, number = kitchen.maker(ingredient.what), 0 if ingredient.what == ORIGINAL else variant
    toward = kitchen.store.labels(maker, number)
    target = np.eye(len(kitchen.labels))[[kitchen.labels.index(toward[place]) for place in train]]
    if ingredient.label == "taught":
        labels = _teach(kitchen, train, hot, kitchen.store.features(maker, "embeddings", number)[list(train)])
    else:
        labels = {"keep": hot, "target": target, "both": (hot + target) / 2}[ingredient.label]
    return kitchen.store.features(maker, takes, number)[list(train)], labels


def _teach(kitchen: Kitchen, train: Sequence[int], hot: np.ndarray, embeddings: np.ndarray) -> np.ndarray:
    """Return what a linear head, trained on the clips as they came, says of embeddings: [clips, labels]."""
    own = kitchen.store.features(Original(), "embeddings")[list(train)]
    return scipy.special.softmax(fit_linear(own, hot, 0)(embeddings), axis=1)


def _mix(
    plain: np.ndarray, hot: np.ndarray, clips: Sequence[Clip], variant: int, seed: int, *, masked: bool
) -> tuple[np.ndarray, np.ndarray]:
    features, labels = [], []
    for place, clip in enumerate(clips):
        number = draws.draw(seed, clip.id, variant, MASKED if masked else MIXUP)
        if masked:
            features.append(mask_spectrogram(plain[place], number))
            labels.append(hot[place])
        else:
            other, share = draw_mix(len(clips), number)
            features.append(share * plain[place] + (1 - share) * plain[other])
            labels.append(share * hot[place] + (1 - share) * hot[other])
    return np.stack(features), np.stack(labels)
