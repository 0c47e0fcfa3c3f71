"""Flags that go to Beam: told apart from typing errors."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from typing import Any, NoReturn

from pipelines.config.run_config import ConfigError


def beam_arguments(extra: Sequence[str], command: str = "augment") -> list[str]:
    """Return the arguments for Beam's PipelineOptions.

    Args:
        extra: what the command does not know.
        command: a key of `COMMAND_FLAGS`, for the message.

    Raises:
        ConfigError: an argument is no flag, or one that Beam does not know either; the message names the nearest.
    """
    from apache_beam.options.pipeline_options import PipelineOptions

    known = _Parser(add_help=False, allow_abbrev=False)
    for flag in JOB_SERVER_FLAGS:
        known.add_argument(flag)
    for options in PipelineOptions.__subclasses__():
        if options.__module__.startswith("apache_beam."):
            options._add_argparse_args(_Tolerant(known))  # type: ignore[arg-type]
    flags = sorted({flag for action in known._actions for flag in action.option_strings})
    read, unknown = known.parse_known_args(list(extra))
    _check_runner(read.runner)
    if not unknown:
        return list(extra)
    first = unknown[0]
    if not first.startswith("-"):
        inputs = "inputs are given with --input, " if command == "augment" else ""
        raise ConfigError(f"unexpected argument {first!r}: {inputs}values with --flag=value")
    flag = first.split("=")[0]
    near = difflib.get_close_matches(flag, [*flags, *COMMAND_FLAGS[command]], n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ConfigError(f"neither dreambeam nor Beam knows the flag {flag}{hint} (see dreambeam {command} --help)")


def split_flags(given: Sequence[str]) -> tuple[list[str], list[str]]:
    """Tell paths from Beam's flags: those with "=" may stand anywhere, after another all that follows is Beam's."""
    paths: list[str] = []
    flags: list[str] = []
    for position, word in enumerate(given):
        if not word.startswith("-"):
            paths.append(word)
        elif "=" in word:
            flags.append(word)
        else:
            return paths, [*flags, *given[position:]]
    return paths, flags


def _check_runner(given: str | None) -> None:
    """Refuse a runner that is none of Beam's, by its short name or its class's full name.

    Raises:
        ConfigError: with the names that Beam knows.
    """
    from apache_beam.options.pipeline_options import StandardOptions

    names = sorted(StandardOptions.KNOWN_RUNNER_NAMES)
    if given is None or "." in given or f"{given.lower().removesuffix('runner')}runner" in map(str.lower, names):
        return
    near = difflib.get_close_matches(given.lower(), map(str.lower, names), n=1)
    hint = next((f"; did you mean {name}?" for name in names if name.lower() in near), "")
    raise ConfigError(f"--runner is {given!r}; expected {', '.join(names)}, or the full name of a class{hint}")


def model_settings(
    models: Sequence[str] | None, classes: Sequence[str] | None, sample_rate: int | None
) -> dict[str, Any] | list[dict[str, Any]] | None:
    """Return the config's ``model`` by the flags, None if there are none.

    Args:
        models: paths or names, each for one member.
        classes: files of names, in the order of those models that need one; one alone is for all of these.
        sample_rate: of those models.

    Raises:
        ConfigError: flags that belong to a model are given without one, or lists are not as many as models.
    """
    if not models:
        if classes or sample_rate is not None:
            raise ConfigError("--classes and --sample-rate are of a model to dream through: name it with --model PATH")
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


OWN_FLAGS = (
    *("--input", "--output", "--config", "--metadata", "--path-column", "--label-column", "--split-column"),
    *("--start-column", "--offset-column", "--end-column"),
    *("--duration-column", "--group-column", "--split", "--augment-test", "--root", "--data-dir"),
    *("--target", "--transform", "--steps", "--sound", "--variants", "--seed", "--batch-size", "--weights", "--set"),
    *("--model", "--classes", "--sample-rate", "--licence"),
    *("--scratch", "--overwrite", "--resume", "--no-resume", "--debug"),
)

EVALUATE_FLAGS = (
    *("--report", "--judge", "--classes", "--sample-rate", "--judge-input", "--class-map", "--weights", "--debug"),
)

ROBUSTNESS_FLAGS = (
    *(
        "--report",
        "--judge",
        "--classes",
        "--sample-rate",
        "--judge-input",
        "--class-map",
        "--yamnet-map",
        "--metadata",
    ),
    *("--path-column", "--label-column", "--label-separator", "--group-column", "--train", "--test", "--through"),
    *("--snr-db", "--steps"),
    *("--untargeted", "--targeted", "--limit", "--seed", "--weights", "--debug"),
)

COMMAND_FLAGS = {"augment": OWN_FLAGS, "evaluate": EVALUATE_FLAGS, "robustness": ROBUSTNESS_FLAGS}
"""The flags of the commands that pass others to Beam, for the nearest to one that is unknown."""


JOB_SERVER_FLAGS = (
    *("--number_of_execution_retries", "--execution_retry_delay", "--execution_mode_for_batch"),
    *("--object_reuse", "--spark_master", "--storage_level", "--bundle_size"),
    *("--max_records_per_batch", "--environment_expiration_millis", "--load_balance_bundles"),
)
"""Options of Beam's Java job servers for Flink and Spark, which its Python does not list and hands on."""


class _Parser(argparse.ArgumentParser):
    """An argparse parser whose complaint is an error of one line, without the usage of all that Beam takes."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"Beam: {message}")


class _Tolerant:
    """An argparse parser that takes a flag once, as Beam's own option classes repeat some."""

    def __init__(self, parser: argparse.ArgumentParser):
        self._parser = parser

    def add_argument(self, *names: str, **settings: object) -> None:
        try:
            settings["required"] = False if names[0].startswith("-") else settings.get("required", False)
            self._parser.add_argument(*names, **settings)  # type: ignore[arg-type]
        except argparse.ArgumentError:
            return

    def add_mutually_exclusive_group(self, **_: object) -> _Tolerant:
        return self
