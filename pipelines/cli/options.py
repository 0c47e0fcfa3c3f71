"""Options that several commands share, and how the app of a command is made.

Nothing heavy is imported here: ``--help`` is instant.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import typer
from typer import Option

from augment.recipes.tables import TRANSFORMS
from evaluation.judges.judge_kinds import judge_usage

Encoding = Literal["float32", "int16", "flac"]
FileFormat = Literal["wav", "flac"]
JudgeInput = Literal["auto", "waveform", "embeddings"]

BEAM = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Context settings of a command that passes unknown flags to Beam."""


def new_app() -> typer.Typer:
    """Return the Typer app of one command."""
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def choice(names: Collection[str], default: str | None, flag: str, text: str) -> Any:
    """Return an option that takes one of some names, which its help lists."""
    return Option(default, flag, help=f"{text}: {', '.join(names)}.", metavar="NAME", callback=one_of(names))


def one_of(names: Collection[str]) -> Any:
    """Return a callback that refuses a value, or a first value, that is not one of some names."""

    def check(value: Any) -> Any:
        name = value[0] if isinstance(value, tuple) else value
        if name is not None and name not in names:
            raise typer.BadParameter(f"{name!r} is not one of {', '.join(names)}.")
        return value

    return check


def transform(default: str | None) -> Any:
    """Return the option of the transform."""
    return choice(TRANSFORMS, default, "--transform", "How the gradient changes the sound")


TARGET = (
    "Target: a class by name, MID or index; a branch of the ontology ('Dog/*'); or a policy: keep, random, nearest, "
    "farthest, label, sound, away. random, nearest, farthest and away may name classes ('random:Animal/*')."
)
SOUND: Any = Option(None, "--sound", help="Target sound, for transforms and objectives that need one.", metavar="FILE")
WEIGHTS: Any = Option(
    None, "--weights", help="YAMNet: a SavedModel folder, yamnet.h5 or a TF-Hub handle.", metavar="PATH"
)
MODEL: Any = Option(
    None,
    "--model",
    help="Dream through this model instead of YAMNet: crnn, head.npz, a SavedModel folder or a .keras file. Repeat it "
    "for an ensemble.",
    metavar="PATH",
)
CLASSES: Any = Option(
    None, "--classes", help="The model's class names: one a line, or a CSV like YAMNet's.", metavar="FILE"
)
MODEL_RATE: Any = Option(None, "--sample-rate", help="Sample rate of the model's input in Hz.", metavar="HZ")
SET: Any = Option(
    None, "--set", help="Change a setting, such as recipe.steps=40; may be repeated.", metavar="KEY=VALUE"
)
JUDGE: Any = Option(
    "yamnet",
    "--judge",
    help=f"Classifier: {judge_usage()}.",
    metavar="MODEL",
)
JUDGE_CLASSES: Any = Option(
    None, "--classes", help="The judge's class names: one a line, or a CSV like YAMNet's.", metavar="FILE"
)
JUDGE_RATE: Any = Option(None, "--sample-rate", help="Sample rate of the judge's input in Hz.", metavar="HZ")
JUDGE_INPUT: Any = Option(
    "auto", "--judge-input", help="Input of the judge; embeddings are YAMNet's [auto: by its shape]."
)
PATH_COLUMN: Any = Option(None, "--path-column", help="Column of paths [found by its name].", metavar="NAME")
LABEL_COLUMN: Any = Option(None, "--label-column", help="Column of labels [found by its name].", metavar="NAME")
OVERWRITE: Any = Option(False, "--overwrite", help="Replace the output if it exists.")
AS_JSON: Any = Option(False, "--json", help="Print JSON.")
DEBUG: Any = Option(False, "--debug", help="Show tracebacks and Beam's own messages.")
