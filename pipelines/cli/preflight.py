"""What commands refuse before TensorFlow is imported, which takes seconds: paths, configurations, idle options.

Takes what the user wrote; nothing of a sound but its header is read, and nothing is listed. The errors are those of the
modules that use the paths. What lies on other file systems, or has to be fetched, is left to the commands.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pipelines.cli.options import split_flags
from pipelines.clips.whole_files import DEMO, check_encodable, check_picture, check_writable, find_sound
from pipelines.config.run_config import ConfigError, RunConfig, load_config
from pipelines.dataset.output import check_output, resolve_output
from pipelines.files.containers import ClipError, read_state
from pipelines.files.locations import local_path
from pipelines.sources import folders, inputs
from pipelines.tables import tables


def augment_config(path: str | None, given: Mapping[str, Any], changes: Sequence[str]) -> RunConfig:
    """Return the configuration of a run.

    Args:
        path: of a YAML file, if there is one.
        given: what flags say, by dotted key; None where they are not given.
        changes: of ``--set``, which go last.

    Raises:
        ConfigError: it is wrong.
    """
    flags = [f"{key}={yaml.safe_dump(value).strip()}" for key, value in given.items() if value is not None]
    config = load_config(path, [flag.removesuffix("\n...") for flag in [*flags, *changes]])
    if config.recipes and given["recipe.transform"]:
        raise ConfigError(f"--transform cannot choose among the recipes of {path}: {', '.join(config.recipes)}")
    return config


def check_augment(given: Sequence[str], output: str, config: RunConfig, *, overwrite: bool) -> None:
    """Refuse inputs and target sounds that are not there, and an output that may not be written.

    Args:
        given: the inputs.
        output: folder of the dataset.
        config: of the run.
        overwrite: a dataset that is there may be replaced.

    Raises:
        SourceError: an input, or the table of labels, does not exist.
        ConfigError: a target sound does not.
        OutputError: the output cannot be used.
    """
    named = [path for path in given if path != DEMO]
    check_output(resolve_output(output, [inputs.place(path) for path in named]), overwrite=overwrite)
    inputs.check_there(named, config.source)
    _check_sounds(config)


def dream_config(settings: Mapping[str, Any], model: Any, changes: Sequence[str]) -> RunConfig:
    """Return the configuration of one dream: its recipe, and what it is dreamed through.

    Args:
        settings: what flags say of the recipe, by field; None where they are not given.
        model: as `pipelines.cli.options.model_settings` gives it.
        changes: of ``--set``, which go last.

    Raises:
        ConfigError: it is wrong.
    """
    values = {f"recipe.{key}": value for key, value in settings.items() if value is not None}
    values |= {"model": model} if model else {}
    other = [change for change in changes if not change.startswith(("recipe.", "model."))]
    if other:
        raise ConfigError(f"dream takes --set recipe.KEY=VALUE or model.KEY=VALUE only, got {other[0]!r}")
    return load_config(None, [*(f"{key}={json.dumps(values[key], ensure_ascii=False)}" for key in values), *changes])


def check_dream(source: str | None, output: str, picture: str | None, config: RunConfig, *, overwrite: bool) -> None:
    """Refuse an input or target sound that cannot be used, and files that may not be written.

    Args:
        source: path of the input; None where there is none.
        output: path of the dream.
        picture: path of its picture, if it is wanted.
        config: of the dream.
        overwrite: a file that is there may be replaced.

    Raises:
        ClipError: the input cannot be used, or an output cannot be written.
        ConfigError: a target sound does not exist.
    """
    if source and Path(output).exists() and Path(source).exists() and Path(output).samefile(source):
        raise ClipError(f"{output!r} is the input itself: give another name to write to", "write")
    check_writable(output, overwrite=overwrite)
    if picture:
        check_picture(picture)
    if source and source != DEMO:
        ref = find_sound(source)
        check_encodable(output, ref.sample_rate, ref.channels)
    _check_sounds(config)


def check_heard(files: Sequence[str]) -> None:
    """Refuse a file that is named alone and cannot be used; of several, what can be used is heard first.

    Args:
        files: paths of sounds.

    Raises:
        ClipError: it cannot be used.
    """
    if len(files) == 1 and files[0] != DEMO:
        find_sound(files[0])


def check_recordings(given: Sequence[str], metadata: str | None) -> None:
    """Refuse files, folders, globs and a table of labels that are not there.

    Args:
        given: recordings, with Beam's flags among them or after them.
        metadata: the table, if there is one.

    Raises:
        SourceError: one does not exist.
    """
    for path in split_flags(given)[0]:
        if path and local_path(path) is not None:
            folders.check_there(path)
    if metadata and local_path(metadata) is not None:
        tables.check_there(metadata)


def check_evaluated(given: Sequence[str]) -> None:
    """Refuse folders that are not datasets with records.

    Args:
        given: the folders, with Beam's flags among them or after them.

    Raises:
        DatasetError: one is not.
    """
    from evaluation.dreams.originals import find_run

    for path in split_flags(given)[0]:
        find_run(path)


def check_benchmark(given: Collection[str], what: str, against: str | None) -> None:
    """Refuse options that the chosen benchmark does not look at.

    Args:
        given: names of the options that the user wrote, without dashes.
        what: is measured, a value of `choices.BenchmarkChoice`.
        against: what speed is held against, if anything.

    Raises:
        ConfigError: an option belongs to another benchmark; the message says to which.
    """
    chosen = f"{what} --against {against}" if what == "speed" and against else what
    for name in sorted(given):
        taken_by = [benchmark for benchmark, names in _BENCHMARK_OPTIONS.items() if name in names]
        if taken_by and chosen not in taken_by:
            others = " and ".join(f"dreambeam benchmark {benchmark}" for benchmark in taken_by)
            where = f"of {others}, not of dreambeam benchmark {chosen}"
            raise ConfigError(f"--{name} is {where}: leave it out, or run that")


_BENCHMARK_OPTIONS = {
    "speed": ("rounds", "clips", "quick"),
    "instructions": ("rounds",),
    "speed --against naive": ("against", "data", "clips", "steps"),
    "steering": ("data", "pairs", "only", "seed"),
}
"""Options by the benchmarks that look at them; all look at the others."""


def _check_sounds(config: RunConfig) -> None:
    for recipe in config.named_recipes().values():
        if recipe.sound and recipe.sound != DEMO and local_path(recipe.sound) is not None:
            try:
                read_state(recipe.sound)
            except ClipError as error:
                raise ConfigError(f"recipe.sound: {error}") from error
