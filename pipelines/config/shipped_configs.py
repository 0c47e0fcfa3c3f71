"""The configs that come with dreambeam, by name: ``--config quickstart`` reads ``configs/quickstart.yaml``."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path

import configs

FOLDER = Path(configs.__file__).parent


def shipped() -> dict[str, Path]:
    """Return the files by name, sorted."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}


def find(config: str | Path) -> Path:
    """Return a config's file: the path itself where it exists, else the shipped file of that name, if there is one."""
    path = Path(config)
    return path if path.exists() else shipped().get(str(config), path)


def summary(path: Path) -> str:
    """Return the first sentence of the comment that a config begins with."""
    lines = takewhile(lambda line: line.startswith("#"), path.read_text(encoding="utf-8").splitlines())
    return " ".join(line.lstrip("# ") for line in lines).partition(". ")[0].rstrip(".") + "."
