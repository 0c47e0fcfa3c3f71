"""What an evaluation gives: all that a report needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from evaluation.dreams.dream_evaluator import Failed
from evaluation.dreams.originals import Dataset


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What came out of one dataset: all that a report needs.

    Attributes:
        name: of the dataset, unique among those that are evaluated together.
        folder: that holds the files.
        dataset: what was evaluated.
        metrics: content of metrics.json.
        rows: of examples.parquet, sorted by id.
        failures: dreams that could not be evaluated.
    """

    name: str
    folder: Path
    dataset: Dataset
    metrics: dict[str, Any]
    rows: pd.DataFrame
    failures: list[Failed]


@dataclass(frozen=True, eq=False)
class Report:
    """What came out of all datasets.

    Attributes:
        evaluations: in the order in which they were given.
        comparison: content of comparison.json, None of a single recipe.
    """

    evaluations: list[Evaluation]
    comparison: dict[str, Any] | None
