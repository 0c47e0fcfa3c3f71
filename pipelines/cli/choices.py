"""What the commands' options share: choices, types and help. Nothing heavy is imported: ``--help`` is instant."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer


class TransformChoice(str, Enum):
    """The activation-maximization functions."""

    deep_dream = "deep_dream"
    hard_cut = "hard_cut"
    hard_cut_add = "hard_cut_add"
    target_filter = "target_filter"
    gradients = "gradients"
    gain_filter = "gain_filter"
    soft_cut_add = "soft_cut_add"
    soft_target_filter = "soft_target_filter"
    spectrogram = "spectrogram"


class EncodingChoice(str, Enum):
    """What records store of a waveform."""

    float32 = "float32"
    int16 = "int16"
    flac = "flac"


class FileChoice(str, Enum):
    """Formats of exported files."""

    wav = "wav"
    flac = "flac"


class StartChoice(str, Enum):
    """What a dream starts from."""

    clip = "clip"
    noise = "noise"
    white = "white"
    pink = "pink"
    silence = "silence"
    mix = "mix"


class BenchmarkChoice(str, Enum):
    """What is measured."""

    speed = "speed"
    instructions = "instructions"
    steering = "steering"


class AgainstChoice(str, Enum):
    """What speed is held against."""

    naive = "naive"


Weights = Annotated[
    str | None,
    typer.Option("--weights", help="YAMNet: a SavedModel folder, yamnet.h5 or TF-Hub handle.", metavar="PATH"),
]
Model = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="Dream through this, not YAMNet: crnn, head.npz, a SavedModel folder, a .keras file; several as one.",
        metavar="PATH",
    ),
]
Classes = Annotated[
    list[str] | None,
    typer.Option(
        "--classes", help="Names of the model's classes, one in each line, or a CSV like YAMNet's.", metavar="FILE"
    ),
]
ModelRate = Annotated[int | None, typer.Option("--sample-rate", help="What the model hears, in Hz.", metavar="HZ")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a setting, such as recipe.steps=40; may be repeated.", metavar="KEY=VALUE"),
]
TARGET = (
    "A class by name, MID or index, a branch of the ontology ('Dog/*'), or keep, random, nearest, farthest, label, "
    "sound, away, which may name classes to choose from ('random:Animal/*')."
)
INPUT = (
    "Audio file, folder or glob; list of these (.txt); manifest (.csv, .tsv, .jsonl, .parquet); TFDS dataset "
    "(tfds:NAME or its folder); TFRecords (FILES.tfrecord*)."
)
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and Beam's own messages.")]
