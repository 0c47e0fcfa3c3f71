"""One robustness report: from labelled clips and a classifier to figures on disk.

The folder gets report.html (`evaluation.pages.robustness_page`), metrics.json, robustness.parquet (a row for each clip,
perturbation and SNR), curve.csv, robustness.png, failures.jsonl and, where a head was trained, head.npz. Keys of
metrics.json that stay:

    clean_accuracy         on the clips as they came; clean.{value,low,high,n,sources}
    curve[]                {perturbation, snr_db, accuracy, low, high, n}
    trusted, warnings[]    whether the report believes itself (`evaluation.robustness.trust`), and why not;
    checks.<check>[] per_class[], halving.<perturbation>.{snr_db,at}, worst[], judge, seed, versions

With several labels for a clip ``metric`` is "map": `accuracy` is then the mean average precision, and the checks of
trust look at how often the top answer is right.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from apache_beam.options.pipeline_options import PipelineOptions

from augment.determinism import draws
from evaluation.dreams.dream_evaluator import Failed
from evaluation.dreams.evaluation_graph import read_failures
from evaluation.dreams.report_folder import (
    ReportError,
    check_folder,
    parts_folder,
    write_failures,
    write_json,
    write_table,
    write_text,
)
from evaluation.judges.class_map import read_mapping
from evaluation.judges.judge_kinds import shared_judge
from evaluation.pages.robustness_page import robustness_page
from evaluation.robustness import robustness_curves
from evaluation.robustness import robustness_graph as pipeline
from evaluation.robustness.attacks import BATCH, Item
from evaluation.robustness.curve_files import write_curve
from evaluation.robustness.robustness_curves import Point
from evaluation.robustness.robustness_metrics import summarise
from evaluation.robustness.robustness_worker import ReadItem
from evaluation.robustness.trained_head import overlap, train
from evaluation.robustness.trials import Settings, check_settings, make_trial
from evaluation.robustness.worst_clips import remake
from pipelines.progress import Watch, unwatched


@dataclass(frozen=True, eq=False)
class Robustness:
    """What came out: all that a page needs.

    Attributes:
        folder: that holds the files.
        metrics: content of metrics.json.
        points: the curve.
        rows: of robustness.parquet.
        failures: clips that could not be used.
    """

    folder: Path
    metrics: dict[str, Any]
    points: list[Point]
    rows: pd.DataFrame
    failures: list[Failed]


def robustness(
    items: Sequence[Item],
    report: str | os.PathLike[str],
    settings: Settings,
    read: ReadItem,
    options: PipelineOptions,
    *,
    training: Sequence[Item] = (),
    lost: Sequence[Failed] = (),
    command: str = "",
    watch: Watch = unwatched,
) -> Robustness:
    """Try a classifier.

    Args:
        items: the labelled clips.
        report: folder to write to; local, and seen by all workers.
        settings: what the user chose.
        read: reads clips; it is pickled.
        options: Beam's.
        training: clips that a linear head on YAMNet is trained on, which is then the classifier; none uses the judge.
            Their mean embeddings (4 kB each) are all held at once.
        lost: what failed before.
        command: the command line, for the page.
        watch: shows how far it is.

    Raises:
        JudgeError: the classifier cannot be used, or knows none of the labels.
        ReportError: the report cannot be written there, or the settings make no sense.
        WeightsError: YAMNet's weights are not to be had.
    """
    check_settings(settings)
    known, failures = read_mapping(settings.class_map), list(lost)
    read_mapping(settings.yamnet_map)
    folder = check_folder(report)
    judge, trained = settings.judge, None
    if training:
        judge, trained, more = train(training, folder, settings.judge, read, options, watch)
        failures += more
    loaded = shared_judge(judge)
    notes: list[str] = []
    notes += overlap(training, items)
    trial = make_trial(items, loaded, judge, known, settings, notes)
    used = [item for item in items if trial.truth(item.labels)]
    with parts_folder(folder) as parts:
        with watch(parts, len(used) * trial.sounds_per_clip, "sounds tried"):
            pipeline.try_batches(trial, batches(used, settings.seed), read, parts, options)
        rows = pipeline.read_parts(parts, robustness_curves.ROWS, ("id", "perturbation", "snr_db"))
        failures += read_failures(parts)
    if rows.empty:
        first = f"; the first: {failures[0].error}" if failures else ""
        raise ReportError(f"none of the {len(items)} clips could be used{first}")
    found, points = summarise(rows, trial, loaded, settings, trained, notes, failures)
    _write(folder, found, points, rows, failures)
    worst = remake(found["worst"], used, trial, read)
    write_text(folder / "report.html", robustness_page(found, worst, command))
    return Robustness(folder, found, points, rows, failures)


def batches(items: Sequence[Item], seed: int) -> list[list[Item]]:
    """Share clips out in batches of nearly equal size, mixed by the seed, the same whoever works on them."""
    mixed = sorted(items, key=lambda item: (draws.draw(seed, item.id, 0, "batch"), item.id))
    count = -(-len(mixed) // BATCH)
    return [mixed[first::count] for first in range(count)]


def _write(
    folder: Path, found: Mapping[str, Any], points: Sequence[Point], rows: pd.DataFrame, failures: Sequence[Failed]
) -> None:
    write_table(folder / "robustness.parquet", rows, robustness_curves.ROWS)
    write_failures(folder, failures)
    clean = found["clean_accuracy"]
    write_curve(folder, points, math.nan if clean is None else clean, found["metric"])
    write_json(folder / "metrics.json", found)
