"""Report folders: where a report may be written, and files that are complete or absent.

A folder with foreign files is refused. While a report is made, its parts lie in a hidden folder of its own
(`parts_folder`), which is removed in any case.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from evaluation.dreams.dream_evaluator import Failed
from pipelines.dataset.reader import Dataset

OWN_FILES = (
    *("report.html", "metrics.json", "failures.jsonl", "examples.parquet", "comparison.json"),
    *("robustness.parquet", "robustness.png", "curve.csv", "head.npz"),
)
"""Files of reports."""

_TABLES = ("examples.parquet", "robustness.parquet")  # beside the metrics.json of a report
_PARTS = ".parts-"


class ReportError(ValueError):
    """The report cannot be written; the message is one line."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result for one dataset, whose name is unique within the report: metrics.json, rows and failed dreams."""

    name: str
    folder: Path
    dataset: Dataset
    metrics: dict[str, Any]
    rows: pd.DataFrame
    failures: list[Failed]


@dataclass(frozen=True, eq=False)
class Report:
    """The results for all datasets, in their order, and comparison.json's content, None for a single recipe."""

    evaluations: list[Evaluation]
    comparison: dict[str, Any] | None


def check_folder(report: str | os.PathLike[str], datasets: Sequence[str] = ()) -> Path:
    """Make the report's folder, with links resolved; refuse one with foreign files, or within a dataset.

    Raises:
        ReportError: it cannot be used.
    """
    given, target = str(report), Path(os.path.realpath(report))
    for dataset in datasets:
        if target.is_relative_to(os.path.realpath(dataset)):
            raise ReportError(f"--report {given!r} lies in the dataset {dataset}: give another folder")
    if target.exists() and not target.is_dir():
        raise ReportError(f"--report {given!r} is a file: give a folder")
    if target.is_dir() and not _is_ours(target):
        raise ReportError(f"--report {given!r} holds something that is no report: give an empty or a new folder")
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReportError(f"--report {given!r} cannot be made: {error.strerror}") from error
    return target


def _is_ours(folder: Path) -> bool:
    """Return whether the folder is empty, or holds a report, several in folders below it, or an unfinished one."""
    tables = (each for name in _TABLES for below in ("", "*/") for each in folder.glob(below + name))
    if any((each.parent / "metrics.json").exists() for each in tables):
        return True
    return all(each.name in OWN_FILES or each.name.startswith(_PARTS) for each in folder.iterdir())


@contextmanager
def parts_folder(report: Path) -> Iterator[str]:
    """Give an empty folder within the report's, for parts that workers write; remove it at the end."""
    parts = tempfile.mkdtemp(prefix=_PARTS, dir=report)
    try:
        yield parts
    finally:
        shutil.rmtree(parts, ignore_errors=True)


def write_table(path: Path, rows: pd.DataFrame, columns: pa.Schema) -> None:
    """Write a parquet file, complete or not at all."""
    partial = path.with_suffix(".partial")
    pq.write_table(pa.Table.from_pandas(rows, columns, preserve_index=False), partial)
    os.replace(partial, path)


def write_failures(folder: Path, failures: Sequence[Failed]) -> None:
    """Write failures.jsonl, a line for each."""
    write_text(folder / "failures.jsonl", "".join(json.dumps(asdict(each)) + "\n" for each in failures))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file, complete or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file, complete or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def versions() -> dict[str, str]:
    """Return the versions of the packages that shape the figures."""
    packages = ("dreambeam", "numpy", "tensorflow", "soxr", "pyloudnorm", "pandas", "apache-beam")
    return {**{name: _version(name) for name in packages}, "python": platform.python_version()}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
