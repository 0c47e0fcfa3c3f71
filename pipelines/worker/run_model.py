"""The model of a run: loaded once for a process, and described in provenance and run.json.

The description of YAMNet is its name and the identity of its weights. For other models it has, too, what
`augment.models.model_kinds` needs to load them again, and run.json has the classes (`described_classes`): a replay
needs the files of the models, and no class lists.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from augment.models.ensembles import members_of
from augment.models.interface import AudioModel, ModelSpec
from augment.models.model_kinds import load_models
from pipelines.config.run_config import ModelConfig

Specs = tuple[ModelSpec, ...]


def specs_of(models: Sequence[ModelConfig]) -> Specs:
    """Return a configuration's models; none of YAMNet alone."""
    found = tuple(ModelSpec(**model.model_dump()) for model in models)
    return () if found == (ModelSpec(),) else found


def describe_model(model: AudioModel, specs: Specs) -> dict[str, Any]:
    """Return what provenance and run.json store of the model."""
    description: dict[str, Any] = {"name": model.name, "identity": model.identity}
    if specs:
        description |= {"sample_rate": model.sample_rate, "members": [dataclasses.asdict(spec) for spec in specs]}
    return description


def described_classes(model: AudioModel, specs: Specs) -> dict[str, Any]:
    """Return what run.json stores of the model's classes, and of those given for its members; nothing of YAMNet."""
    if not specs:
        return {}
    given = [
        list(member.model.classes.names) if spec.classes is not None else None
        for spec, member in zip(specs, members_of(model), strict=True)
    ]
    return {"model_classes": [{"mid": item.mid, "name": item.name} for item in model.classes], "given_classes": given}


def described_specs(description: Mapping[str, Any], run: Mapping[str, Any], now: Sequence[str] = ()) -> Specs:
    """Return the models of a description.

    Args:
        description: of `describe_model`.
        run: run.json of the dataset, for their classes.
        now: their current paths, one for each; none: where they were.
    """
    known = {each.name for each in dataclasses.fields(ModelSpec)}
    members: Sequence[Mapping[str, Any]] = description.get("members", ())
    found = []
    given: Sequence[Any] = run.get("given_classes") or [None] * len(members)
    for place, member in enumerate(members):
        values = {key: value for key, value in member.items() if key in known}
        names = given[place]
        values["classes"] = tuple(names) if names else None
        if now:
            values["path"] = now[place]
        found.append(ModelSpec(**values))
    return tuple(found)


_loading = threading.Lock()


def shared_model(weights: str | None, specs: Specs = ()) -> AudioModel:
    """Load the model once for the whole process, also among threads.

    Raises:
        ModelError: a model cannot be used.
        WeightsError: YAMNet's weights cannot be read.
    """
    with _loading:
        return _load_model(weights, specs)


@functools.lru_cache(maxsize=1)
def _load_model(weights: str | None, specs: Specs) -> AudioModel:
    return load_models(specs, weights)
