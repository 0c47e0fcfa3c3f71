"""Arms: what a classifier is trained on besides the clips themselves, at equal numbers of examples.

Every arm gives each training clip once as it came, and `VARIANTS` times more: as it came again, augmented in a
conventional way, dreamed, or these in turn. All arms of a classifier have then the same number of examples, and take
the same number of steps. To add an arm, list it in `ARMS`; to add a way of dreaming, list it in `DREAMS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from augment import draws
from augment.yamnet import DreamingModel
from evaluation.conventional import Conventional, draw_mix, mask_spectrogram
from evaluation.dreams import Dreams, DreamSpec
from evaluation.folds import Clip
from evaluation.views import Maker, Original, Store

VARIANTS = 4
"""Examples of each clip beside itself."""

SEED = 0
"""Of what is made for training; the test sets have their own."""

ORIGINAL, CONVENTIONAL, MIXUP, MASKED = "original", "conventional", "mixup", "masked"

KINDS = ("none", "conventional", "dream", "both")


@dataclass(frozen=True)
class Ingredient:
    """What some of an arm's examples are.

    Attributes:
        what: `ORIGINAL`, `CONVENTIONAL`, `MIXUP`, `MASKED`, or a key of `DREAMS`.
        label: of a dream: "keep" the clip's, the "target"'s, or "both" by halves.
    """

    what: str
    label: str = "keep"


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


DREAMS: dict[str, DreamSpec] = {}
"""Ways of dreaming for training, by name."""

ARMS: dict[str, Arm] = {
    "none": Arm("none: the clips again", "none", (Ingredient(ORIGINAL),)),
    "audiomentations": Arm("audiomentations", "conventional", (Ingredient(CONVENTIONAL),)),
    "mixup": Arm("mixup", "conventional", (Ingredient(MIXUP),)),
    "specaugment": Arm("SpecAugment", "conventional", (Ingredient(MASKED),), ("cnn",)),
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
    """

    store: Store
    model: DreamingModel
    label_classes: Mapping[str, int]
    dreams: Mapping[str, DreamSpec]
    labels: tuple[str, ...]

    def maker(self, what: str) -> Maker:
        """Return what makes an ingredient's views; mixtures and masks are made of the originals."""
        if what in self.dreams:
            return Dreams(self.dreams[what], self.model, self.label_classes)
        return Conventional(SEED) if what == CONVENTIONAL else Original()


def slots(arm: Arm, variants: int = VARIANTS) -> list[tuple[Ingredient, int]]:
    """Return what each of an arm's examples of a clip is, and which variant of it."""
    turns = len(arm.ingredients)
    return [(arm.ingredients[slot % turns], slot // turns) for slot in range(variants)]


def make_examples(
    arm: Arm, kitchen: Kitchen, train: Sequence[int], takes: str, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Make an arm's examples of some clips.

    Args:
        arm: which.
        kitchen: what with.
        train: positions of the clips.
        takes: field of `Views` that the classifier learns from.
        seed: of mixtures and masks.

    Returns:
        Features [examples, ...], and soft labels float64 [examples, labels]: the clips first, then slot by slot.
    """
    clips = kitchen.store.clips
    own = kitchen.store.views(Original())
    plain = getattr(own, takes)[list(train)]
    hot = np.eye(len(kitchen.labels))[[kitchen.labels.index(clips[place].label) for place in train]]
    features, labels = [plain], [hot]
    for ingredient, variant in slots(arm):
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
    views = kitchen.store.views(kitchen.maker(ingredient.what), 0 if ingredient.what == ORIGINAL else variant)
    target = np.eye(len(kitchen.labels))[[kitchen.labels.index(views.labels[place]) for place in train]]
    labels = {"keep": hot, "target": target, "both": (hot + target) / 2}[ingredient.label]
    return getattr(views, takes)[list(train)], labels


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
