"""What commands refuse before TensorFlow is imported, which takes seconds: wrong configurations and missing paths.

Of a sound only the header is read, and no folder is listed. Paths on other file systems are checked later, when the
command reads them.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pipelines.clips.whole_files import DEMO, check_encodable, check_picture, check_writable, find_sound
from pipelines.config.run_config import ConfigError, RunConfig, load_config
from pipelines.dataset.output import check_output, resolve_output
from pipelines.files.containers import ClipError, read_state
from pipelines.files.locations import local_path
from pipelines.sources import folders, inputs
from pipelines.tables import table_reader


def augment_config(path: str | None, given: Mapping[str, Any], changes: Sequence[str]) -> RunConfig:
    """Return the configuration of a run.

    Args:
        path: of a YAML file, or None.
        given: values of flags by dotted key; None where a flag is not given.
        changes: of ``--set``; they are applied last.

    Raises:
        ConfigError: it is wrong.
    """
    flags = [f"{key}={yaml.safe_dump(value).strip()}" for key, value in given.items() if value is not None]
    config = load_config(path, [flag.removesuffix("\n...") for flag in [*flags, *changes]])
    if config.recipes and given["recipe.transform"]:
        raise ConfigError(f"--transform cannot choose among the recipes of {path}: {', '.join(config.recipes)}")
    return config


def check_augment(given: Sequence[str], output: str, config: RunConfig, *, overwrite: bool) -> None:
    """Refuse inputs and target sounds that do not exist, and an output folder that may not be written.

    Raises:
        SourceError: an input, or the table of labels, does not exist.
        ConfigError: a target sound does not exist.
        OutputError: the output cannot be used.
    """
    named = [path for path in given if path != DEMO]
    check_output(resolve_output(output, [inputs.place(path) for path in named]), overwrite=overwrite)
    inputs.check_there(named, config.source)
    _check_sounds(config)


def dream_config(settings: Mapping[str, Any], model: Any, changes: Sequence[str]) -> RunConfig:
    """Return the configuration of one dream: its recipe and its model.

    Args:
        settings: values of flags by field of the recipe; None where a flag is not given.
        model: from `model_settings`.
        changes: of ``--set``; they are applied last.

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


def model_settings(
    models: Sequence[str] | None, classes: Sequence[str] | None, sample_rate: int | None
) -> dict[str, Any] | list[dict[str, Any]] | None:
    """Return the config's ``model`` from the flags, None without flags.

    Args:
        models: paths or names, one for each member.
        classes: files of class names, in the order of the models that need one; a single file serves all of them.
        sample_rate: of those models, in Hz.

    Raises:
        ConfigError: a model's flags are given without a model, or the number of lists is wrong.
    """
    if not models:
        if classes or sample_rate is not None:
            raise ConfigError("--classes and --sample-rate describe a model: name it with --model PATH")
        return None
    needing = [path for path in models if path not in ("yamnet", "crnn") and not path.endswith(".npz")]
    given = list(classes or [])
    if len(given) not in (0, 1, len(needing)) or (given and not needing):
        names = ", ".join(needing) or f"{', '.join(models)}: it has its own"
        raise ConfigError(f"--classes is given {len(given)} times; expected one for all, or one each of {names}")
    lists = dict(zip(needing, given * len(needing) if len(given) == 1 else given, strict=False))
    found = [
        {"path": path, "classes": lists.get(path), "sample_rate": sample_rate if path in needing else None}
        for path in models
    ]
    return found[0] if len(found) == 1 else found


def check_recordings(paths: Sequence[str], metadata: str | None = None) -> None:
    """Refuse files, folders, globs and a table of labels that do not exist.

    Raises:
        SourceError: one does not exist.
    """
    for path in paths:
        if path and local_path(path) is not None:
            folders.check_there(path)
    if metadata and local_path(metadata) is not None:
        table_reader.check_there(metadata)


def check_folder(flag: str, path: str | None) -> None:
    """Refuse a folder that cannot be written. Nothing is left behind.

    Raises:
        ConfigError: it is a file, or it cannot be made or written.
    """
    if path is None:
        return
    if os.path.exists(path) and not os.path.isdir(path):
        raise ConfigError(f"{flag}: {path!r} is a file; name a folder")
    folder = Path(path).absolute()
    missing = [each for each in (folder, *folder.parents) if not os.path.exists(each)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ConfigError(f"{flag}: cannot write in {path!r} ({error.strerror}); name another folder") from error
    finally:
        for each in missing:
            with contextlib.suppress(OSError):
                each.rmdir()


def _check_sounds(config: RunConfig) -> None:
    for recipe in config.named_recipes().values():
        if recipe.sound and recipe.sound != DEMO and local_path(recipe.sound) is not None:
            try:
                read_state(recipe.sound)
            except ClipError as error:
                raise ConfigError(f"recipe.sound: {error}") from error
