"""The choice of targets: classes by the names of a configuration, and the aim of each dream by its policy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from augment.determinism import draws
from augment.models.interface import AudioModel
from augment.targets.classes import ClassLookupError
from augment.targets.policies import POLICIES, Aim, Situation
from augment.targets.target_names import find_classes
from pipelines.clips.references import ClipRef
from pipelines.config.run_config import ConfigError, RunConfig
from pipelines.messages import did_you_mean
from pipelines.worker.dreamers import TargetSound


class TargetChooser:
    """Chooses what clips are dreamed toward, by a run's configuration.

    Attributes:
        own_labels: the dataset's label for the name of a class, where it has one.
    """

    def __init__(self, config: RunConfig, labels: Sequence[str], model: AudioModel, sounds: Mapping[str, TargetSound]):
        """Look up the classes; `sounds` are target sounds by the recipe's name.

        Raises `ConfigError` for an unknown name.
        """
        self._seed, self._targets, self._sounds = config.seed, config.targets(), sounds
        self._classes = target_classes(config, model)
        self._label_classes = label_classes(config, labels, model)
        self._sound_classes = {
            name: int(np.argmax(model.clip_scores(sound.model_input)))
            for name, sound in sounds.items()
            if self._targets[name].policy == "sound"
        }
        self.own_labels: dict[str, str] = {}
        known = frozenset(labels)
        for label, index in self._label_classes.items():  # first those of target.labels, then the dataset's, in order
            if label in known:
                self.own_labels.setdefault(model.classes[index].name, label)

    def choose(self, recipe: str, ref: ClipRef, variant: int, scores: np.ndarray) -> Aim:
        """Choose the aim of a dream of a clip, by its scores, float32 [classes].

        Raises `ValueError` if the policy finds none for this clip.
        """
        situation = Situation(
            scores,
            self._classes[recipe],
            draws.draw(self._seed, ref.id, variant, "target"),
            next((self._label_classes[each] for each in ref.labels if each in self._label_classes), None),
            self._sound_classes.get(recipe),
        )
        return POLICIES[self._targets[recipe].policy](situation)

    def provenance(self, recipe: str) -> dict[str, Any]:
        """Return what provenance stores of the choice of a recipe's targets."""
        target, sound = self._targets[recipe], self._sounds.get(recipe)
        return {
            "target_policy": target.policy,
            "target_classes": self._classes[recipe],
            "label_policy": target.label_policy,
            "sound_sha256": sound and sound.sha256,
        }


def target_classes(config: RunConfig, model: AudioModel) -> dict[str, list[int]]:
    """Return the indices of the classes that each recipe's target names, by the recipe's name.

    Raises `ConfigError` with the nearest names if one means no class, or several; or the ontology cannot be read.
    """
    found = {}
    for name, target in config.targets().items():
        where = f"recipes.{name}.target" if "target" in config.recipes.get(name, {}) else "target"
        try:
            found[name] = find_classes(target.classes, model.classes)
        except ValueError as error:
            near = did_you_mean(str(target.classes[0]), POLICIES, cutoff=0.75)
            policy = near.replace("did you mean", "or did you mean the policy")
            raise ConfigError(f"{where}: {error}{policy}") from error
    return found


def label_classes(config: RunConfig, labels: Iterable[str], model: AudioModel) -> dict[str, int]:
    """Return the class that each label means: by `target.labels`, or by its name; a label may mean none.

    Raises `ConfigError` if target.labels names no class, or several.
    """
    try:
        found = {label: model.classes.find(name).index for label, name in config.target.labels.items()}
    except ValueError as error:
        raise ConfigError(f"target.labels: {error}") from error
    for label in labels:
        if label not in found:
            with contextlib.suppress(ClassLookupError):
                found[label] = model.classes.find(label.replace("_", " ")).index
    return found
