"""Dreams as views: clips dreamed by a recipe toward a target, for training and for the test sets.

The targets are those of `augment.targets.policies`, drawn as ``dreambeam augment`` draws them, from the same seed and
clip; a label counts as the class of YAMNet that it means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from augment.ascent.dreaming import Sound, dream_batch
from augment.ascent.loop import Dreamer, pad_batch
from augment.ascent.recipe import Recipe
from augment.determinism import draws
from augment.models.interface import AudioModel
from augment.sound.samples import SAMPLE_RATE
from augment.targets.policies import POLICIES, Aim, Situation
from evaluation.utility.views import Heard, Made

YAMNET = "yamnet"
"""What is dreamed through where nothing else is said."""


@dataclass(frozen=True)
class DreamSpec:
    """How clips are dreamed.

    Attributes:
        recipe: fields of `augment.ascent.recipe.Recipe`.
        policy: a key of `augment.targets.policies.POLICIES`.
        among: what the policy chooses from: "classes" of YAMNet, or "labels", those that the dataset's labels mean.
        seed: of targets and noise.
        classes: YAMNet's, by index, that it chooses from among "classes"; none means all.
        through: what is dreamed through, as `augment.models.interface.ModelSpec.path`; anything but YAMNet hears 16
        kHz, and is
            for policies that choose among its own classes.
    """

    recipe: Mapping[str, Any]
    policy: str
    among: str = "classes"
    seed: int = 0
    classes: tuple[int, ...] = ()
    through: str = YAMNET


@dataclass
class Dreams:
    """Dreams of clips.

    Attributes:
        spec: how.
        model: what is dreamed through.
        label_classes: its class by label.
    """

    spec: DreamSpec
    model: AudioModel
    label_classes: Mapping[str, int]
    _dreamer: Dreamer | None = field(default=None, init=False)

    def key(self) -> dict[str, Any]:
        """Return what tells it from other makers."""
        recipe = self._recipe()
        spec = {"policy": self.spec.policy, "among": self.spec.among, "seed": self.spec.seed}
        chosen: dict[str, Any] = {"classes": list(self.spec.classes)} if self.spec.classes else {}
        labels = {name: int(index) for name, index in self.label_classes.items()}
        through = {} if self.spec.through == YAMNET else {"through": self.model.identity}
        return {
            "kind": "dream",
            "recipe": recipe.model_dump(mode="json"),
            **spec,
            **chosen,
            **through,
            "labels": labels,
        }

    def make(self, clips: Sequence[Heard], variant: int) -> list[Made]:
        """Dream the clips."""
        if self._dreamer is None:
            self._dreamer = Dreamer(self.model, self._recipe())
        found: dict[int, Made] = {}
        by_length: dict[int, list[int]] = {}
        for place, each in enumerate(clips):
            by_length.setdefault(self.model.padded_length(len(each.waveform)), []).append(place)
        for places in by_length.values():
            batch = [clips[place] for place in places]
            sounds = [Sound(each.waveform[:, None], SAMPLE_RATE) for each in batch]
            scores = self.model.scores(*pad_batch([sound.heard for sound in sounds], self.model))
            aims = [self._aim(each, row, variant) for each, row in zip(batch, scores, strict=True)]
            numbers = [draws.draw(self.spec.seed, each.clip.id, variant, "start") for each in batch]
            dreams = dream_batch(self._dreamer, sounds, scores, aims, numbers=numbers)
            for place, each, dream in zip(places, batch, dreams, strict=True):
                label = each.clip.label if dream.aim.away else self._label(dream.aim, each.clip.label)
                found[place] = Made(dream.waveform[:, 0], label, dream.snr_db)
        return [found[place] for place in range(len(clips))]

    def _recipe(self) -> Recipe:
        return Recipe.model_validate(dict(self.spec.recipe))

    def _aim(self, heard: Heard, scores: np.ndarray, variant: int) -> Aim:
        own = self.label_classes.get(heard.clip.label)
        classes = (
            tuple(dict.fromkeys(self.label_classes.values())) if self.spec.among == "labels" else self.spec.classes
        )
        number = draws.draw(self.spec.seed, heard.clip.id, variant, "target")
        return POLICIES[self.spec.policy](Situation(scores, classes, number, label=own))

    def _label(self, aim: Aim, own: str) -> str:
        meant = [label for label, index in self.label_classes.items() if index == aim.classes[0]]
        return meant[0] if meant else own
