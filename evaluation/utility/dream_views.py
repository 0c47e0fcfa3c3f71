"""Dreams as views: clips dreamed by a recipe toward a target, for training and for the test sets.

Targets follow `augment.targets.policies`, with the draws of ``dreambeam augment`` for the same seed and clip. A label
counts as the class of YAMNet that it means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from augment.ascent.dreaming import Sound, dream_batch
from augment.ascent.loop import Dreamer, pad_batch
from augment.determinism import draws
from augment.models.interface import AudioModel
from augment.recipes.recipe import Recipe
from augment.sound.samples import SAMPLE_RATE
from augment.targets.policies import POLICIES, Aim, Situation
from evaluation.utility.views import LoadedClip, View, group

YAMNET = "yamnet"
"""The default model to dream through."""


@dataclass(frozen=True)
class DreamSpec:
    """How clips are dreamed.

    Attributes:
        recipe: fields of `augment.recipes.recipe.Recipe`.
        policy: a key of `augment.targets.policies.POLICIES`.
        among: the policy's choices: "classes" of YAMNet, or "labels", the classes of the dataset's labels.
        seed: of targets and noise.
        classes: YAMNet's, by index, to choose from among "classes"; none means all.
        through: the model to dream through, as `augment.models.interface.ModelSpec.path`. Any but YAMNet takes 16 kHz,
            and needs a policy that chooses among its own classes.
    """

    recipe: Mapping[str, Any]
    policy: str
    among: str = "classes"
    seed: int = 0
    classes: tuple[int, ...] = ()
    through: str = YAMNET


@dataclass
class Dreams:
    """Makes dreams of clips by a specification, through a model whose class by label is known."""

    spec: DreamSpec
    model: AudioModel
    label_classes: Mapping[str, int]
    _dreamer: Dreamer | None = field(default=None, init=False)

    def key(self) -> dict[str, Any]:
        """Return everything that shapes the views."""
        spec = self.spec
        found: dict[str, Any] = {"kind": "dream", "recipe": self._recipe().model_dump(mode="json")}
        found |= {"policy": spec.policy, "among": spec.among, "seed": spec.seed}
        if spec.classes:
            found["classes"] = list(spec.classes)
        if spec.through != YAMNET:
            found["through"] = self.model.identity
        return {**found, "labels": {name: int(index) for name, index in self.label_classes.items()}}

    def make(self, clips: Sequence[LoadedClip], variant: int) -> list[View]:
        """Dream the clips."""
        if self._dreamer is None:
            self._dreamer = Dreamer(self.model, self._recipe())
        found: dict[int, View] = {}
        for places in group(self.model.padded_length(len(each.waveform)) for each in clips):
            batch = [clips[place] for place in places]
            sounds = [Sound(each.waveform[:, None], SAMPLE_RATE) for each in batch]
            scores = self.model.scores(*pad_batch([sound.model_input for sound in sounds], self.model))
            aims = [self._aim(each, row, variant) for each, row in zip(batch, scores, strict=True)]
            numbers = [draws.draw(self.spec.seed, each.clip.id, variant, "start") for each in batch]
            dreams = dream_batch(self._dreamer, sounds, scores, aims, numbers=numbers)
            for place, each, dream in zip(places, batch, dreams, strict=True):
                label = each.clip.label if dream.aim.away else self._label(dream.aim, each.clip.label)
                found[place] = View(dream.waveform[:, 0], label, dream.snr_db)
        return [found[place] for place in range(len(clips))]

    def _recipe(self) -> Recipe:
        return Recipe.model_validate(dict(self.spec.recipe))

    def _aim(self, loaded: LoadedClip, scores: np.ndarray, variant: int) -> Aim:
        own = self.label_classes.get(loaded.clip.label)
        labels = tuple(dict.fromkeys(self.label_classes.values()))
        classes = labels if self.spec.among == "labels" else self.spec.classes
        number = draws.draw(self.spec.seed, loaded.clip.id, variant, "target")
        return POLICIES[self.spec.policy](Situation(scores, classes, number, label=own))

    def _label(self, aim: Aim, own: str) -> str:
        return next((label for label, index in self.label_classes.items() if index == aim.classes[0]), own)
