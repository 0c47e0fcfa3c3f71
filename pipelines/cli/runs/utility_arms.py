"""The arms of ``dreambeam utility``: which ones are wanted, and those that configs add."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from augment.targets.classes import yamnet_classes
from evaluation.utility.classifiers import CLASSIFIERS
from evaluation.utility.dream_views import DreamSpec
from evaluation.utility.training_sets import DREAMS, TRAINING_SETS, Component, TrainingSet
from evaluation.utility.utility_study import BASELINE
from pipelines.config.run_config import ConfigError, RunConfig, load_config

SHOTS = (2, None)


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        only: arms; empty: all.
        configs: files of ``dreambeam augment``, one arm each.
        classifiers: by name.
        shots: clips of each class, None for all.
        seeds: repetitions.
        white_box: arms whose linear heads are attacked through themselves.
    """

    only: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    classifiers: tuple[str, ...] = tuple(CLASSIFIERS)
    shots: tuple[int | None, ...] = SHOTS
    seeds: int = 5
    white_box: tuple[str, ...] = ()


def read_arms(plan: Plan) -> tuple[dict[str, TrainingSet], dict[str, DreamSpec], dict[str, str]]:
    """Return the wanted arms, the ways of dreaming that they use, and the classes that configs give to labels.

    Raises:
        ConfigError: there is no such arm, classifier or number, or a config cannot be an arm.
    """
    files = {Path(path).stem: path for path in plan.configs}
    taken = [path for name, path in files.items() if name in TRAINING_SETS]
    if taken:
        raise ConfigError(f"--config: {taken[0]!r} has the name of the arm {Path(taken[0]).stem!r}; rename the file")
    choices = (*TRAINING_SETS, *files)
    for given, known, flag in (
        (plan.only, choices, "--only"),
        (plan.white_box, choices, "--white-box"),
        (plan.classifiers, tuple(CLASSIFIERS), "--classifier"),
    ):
        unknown = [name for name in given if name not in known]
        if unknown:
            raise ConfigError(f"{flag}: there is no {unknown[0]!r}; choices: {', '.join(known)}")
    if plan.seeds < 1 or any(shots is not None and shots < 1 for shots in plan.shots):
        raise ConfigError("--seeds and --shots take numbers from 1 on, --shots also all, such as --shots 2,10,all")
    names = plan.only or (() if files else tuple(TRAINING_SETS))
    arms = {
        name: TRAINING_SETS[name]
        for name in dict.fromkeys((BASELINE, *names, *plan.white_box))
        if name in TRAINING_SETS
    }
    dreams, mapped = dict(DREAMS), {}
    for name, path in files.items():
        config = load_config(path)
        made, components = config_arm(name, config)
        dreams |= made
        mapped |= {label: str(each) for label, each in config.target.labels.items()}
        arms[name] = TrainingSet(f"{name} (--config)", "dream", components)
    return arms, dreams, mapped


def config_arm(name: str, config: RunConfig) -> tuple[dict[str, DreamSpec], tuple[Component, ...]]:
    """Return the ways of dreaming of a config of ``dreambeam augment``, and the components of its arm.

    Raises:
        ConfigError: an arm cannot dream like that.
    """
    targets = config.targets()
    dreams, components = {}, []
    for key, recipe in config.named_recipes().items():
        target = targets[key]
        if target.policy in ("sound", "class") or target.label_policy == "none":
            what = f"target.policy {target.policy}" if target.label_policy != "none" else "target.label_policy none"
            choices = "keep, random, nearest, farthest, label or away"
            raise ConfigError(f"{name}: recipe {key}: {what} cannot be an arm; expected {choices}")
        if recipe.sound is not None:
            raise ConfigError(f"{name}: recipe {key} needs a target sound, and an arm has none")
        classes = tuple(yamnet_classes().find(each).index for each in target.classes)
        settings = recipe.model_dump(mode="json", exclude_unset=True)
        dreams[f"{name}.{key}"] = DreamSpec(settings, target.policy, "classes", config.seed, classes)
        components.append(Component(f"{name}.{key}", target.label_policy, config.variants))
    return dreams, tuple(components)


def check_labels(missing: Sequence[str], arms: Mapping[str, TrainingSet], dreams: Mapping[str, DreamSpec]) -> None:
    """Refuse labels without a class of YAMNet, if an arm dreams toward labels.

    Raises:
        ConfigError: with the remedies.
    """
    for name, arm in arms.items():
        specs = [dreams[each.what] for each in arm.components if each.what in dreams]
        if missing and any(spec.policy == "label" or spec.among == "labels" for spec in specs):
            raise ConfigError(
                f"label {missing[0]!r} names no class of YAMNet, and the arm {name} dreams toward it: name the classes "
                "with --class-column or in the target.labels of a --config, or choose other arms with --only"
            )


def read_shots(text: str | None) -> tuple[int | None, ...]:
    """Read numbers of clips, separated by commas; "all" gives None.

    Raises:
        ConfigError: one is not a number.
    """
    if text is None:
        return SHOTS
    try:
        return tuple(None if part.strip() == "all" else int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--shots is {text!r}; expected numbers and all, with commas, such as 2,10,all") from error
