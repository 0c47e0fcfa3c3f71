"""Splits: their names, and which of them are dreamed.

A split that is held out to measure a classifier is written unchanged, unless `augment_test` is set. Variants of a clip
are always in the clip's own split.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

DEFAULT_SPLIT = "train"

HELD_OUT = ("test", "eval", "evaluation", "valid", "validation", "val", "dev")
"""Names of splits that are held out, compared without regard to case."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")  # it becomes part of file names


def split_fault(split: str) -> str | None:
    """Return what is wrong with the name of a split, as the end of a message; None if nothing is."""
    if _NAME.fullmatch(split) and split != "all":  # TFDS reserves "all"
        return None
    return f"{split!r}; expected letters, digits, _ and -, such as 'train'"


def is_dreamed(split: str, *, augment_test: bool) -> bool:
    """Return whether the clips of a split are dreamed, or only written unchanged."""
    return augment_test or split.lower() not in HELD_OUT


def warnings(clips: Mapping[str, int], *, augment_test: bool) -> list[str]:
    """Return warnings on the splits of a run, by the number of clips of each."""
    held_out = [split for split in sorted(clips) if not is_dreamed(split, augment_test=False)]
    if not (augment_test and held_out):
        return []
    names = ", ".join(held_out)
    return [
        f"--augment-test: {names} was dreamed, too; a classifier that is measured on it meets dreams, not recordings"
    ]
