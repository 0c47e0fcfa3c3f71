"""Folders and tables that tests make, and what listing them gives."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from pipelines.clips.listing import SourceError
from pipelines.clips.references import Failure, SoundFileRef
from pipelines.sources.folders import list_files


def tree(root: Path, *names: str) -> Path:
    """Make files that are only listed, not read."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def table(path: Path, *rows: tuple[str, ...], delimiter: str = ",") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return str(path)


def references(*inputs: Path | str, **kwargs: Any) -> list[SoundFileRef]:
    files = list(list_files([str(each) for each in inputs], **kwargs))
    assert not [file for file in files if isinstance(file, Failure)]
    return [file for file in files if isinstance(file, SoundFileRef)]


def listing(*inputs: Path | str, **kwargs: Any) -> dict[str, str | None]:
    """Give id to label (the first one), or to the error of a failure."""
    return {
        file.id: next(iter(file.labels), None) if isinstance(file, SoundFileRef) else f"{file.stage}: {file.error}"
        for file in list_files([str(each) for each in inputs], **kwargs)
    }


def complaint(*inputs: Path | str, **kwargs: Any) -> str:
    with pytest.raises(SourceError) as caught:
        list_files([str(each) for each in inputs], **kwargs)
    assert str(caught.value).isprintable()
    return str(caught.value)
