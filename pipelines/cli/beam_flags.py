"""Flags that go to Beam: they are kept apart from paths, and misspelt ones are refused."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from typing import Any, NoReturn

from pipelines.config.run_config import ConfigError

JOB_SERVER_FLAGS = (
    *("--number_of_execution_retries", "--execution_retry_delay", "--execution_mode_for_batch"),
    *("--object_reuse", "--spark_master", "--storage_level", "--bundle_size"),
    *("--max_records_per_batch", "--environment_expiration_millis", "--load_balance_bundles"),
)
"""Options of Beam's Java job servers for Flink and Spark; Beam's Python code passes them on without listing them."""


def beam_arguments(extra: Sequence[str], command: Any = None) -> list[str]:
    """Return the arguments for Beam's PipelineOptions.

    Args:
        extra: the arguments that the command does not know.
        command: the command itself, whose own flags are suggested for misspelt ones; None: augment, without them.

    Raises:
        ConfigError: an argument is not a flag, or Beam does not know it either; the message names the nearest flag.
    """
    from apache_beam.options.pipeline_options import PipelineOptions

    known = _Parser(add_help=False, allow_abbrev=False, conflict_handler="resolve")  # some options are repeated
    for flag in JOB_SERVER_FLAGS:
        known.add_argument(flag)
    for options in PipelineOptions.__subclasses__():
        if options.__module__.startswith("apache_beam."):
            options._add_argparse_args(known)  # type: ignore[arg-type]
    for action in known._actions:
        action.required = False
    known._mutually_exclusive_groups.clear()
    read, unknown = known.parse_known_args(list(extra))
    _check_runner(read.runner)
    if not unknown:
        return list(extra)
    name = command.name if command else "augment"
    first = unknown[0]
    if not first.startswith("-"):
        inputs = "inputs are given with --input, " if name == "augment" else ""
        raise ConfigError(f"unexpected argument {first!r}: {inputs}values with --flag=value")
    flag = first.split("=")[0]
    own = [text for each in command.params for text in (*each.opts, *each.secondary_opts)] if command else []
    beams = {text for action in known._actions for text in action.option_strings}
    near = difflib.get_close_matches(flag, [*sorted(beams), *own], n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ConfigError(f"neither dreambeam nor Beam knows the flag {flag}{hint} (see dreambeam {name} --help)")


def split_flags(given: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate paths from Beam's flags.

    A flag with "=" may stand anywhere. From the first flag without "=" on, everything goes to Beam.
    """
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
    """Refuse a runner that is neither a short name of Beam's nor the full name of a class.

    Raises:
        ConfigError: with the names that Beam knows.
    """
    from apache_beam.options.pipeline_options import StandardOptions

    names = {name.lower(): name for name in sorted(StandardOptions.KNOWN_RUNNER_NAMES)}
    if given is None or "." in given or f"{given.lower().removesuffix('runner')}runner" in names:
        return
    near = difflib.get_close_matches(given.lower(), names, n=1)
    hint = f"; did you mean {names[near[0]]}?" if near else ""
    raise ConfigError(f"--runner is {given!r}; expected {', '.join(names.values())}, or the full name of a class{hint}")


class _Parser(argparse.ArgumentParser):
    """An argparse parser whose error is one line, without Beam's long usage."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"Beam: {message}")
