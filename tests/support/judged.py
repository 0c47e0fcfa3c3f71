"""Evaluations as the tests start them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evaluation.judges.judge import JudgeSpec
from evaluation.reports.dream_report import evaluate
from pipelines.cli.runs.evaluate_run import read_source
from pipelines.run.augmentation import pipeline_options


def judged(folder: Path, *datasets: Path, beam: tuple[str, ...] = (), judge: JudgeSpec | None = None, **kwargs: Any):
    """Evaluate datasets by YAMNet, or another judge."""
    given = [str(each) for each in datasets]
    return evaluate(given, folder, judge or JudgeSpec(), read_source, pipeline_options(beam), **kwargs)
