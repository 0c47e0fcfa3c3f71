"""The robustness report: from labelled clips and a classifier to files on disk.

The folder gets report.html (`evaluation.pages.robustness_page`), metrics.json, robustness.parquet (a row for each clip,
perturbation and SNR), curve.csv, robustness.png, failures.jsonl and, where a head was trained, head.npz. Stable keys of
metrics.json:

    clean_accuracy         of the unchanged clips; clean.{value,low,high,n,sources}
    curve[]                {perturbation, snr_db, accuracy, low, high, n}
    trusted, warnings[]    whether the report is to be trusted (`evaluation.robustness.trust`), and why not;
    checks.<check>[] per_class[], halving.<perturbation>.{snr_db,at}, worst[], judge, seed, versions

For clips with several labels ``metric`` is "map": `accuracy` is then the mean average precision, and the checks of
trust use the accuracy of the top class.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from apache_beam.options.pipeline_options import PipelineOptions

from augment.determinism import draws
from evaluation.dreams import report_folder
from evaluation.dreams.dream_evaluator import Failed
from evaluation.dreams.evaluation_graph import read_failures, read_rows, run_workers
from evaluation.dreams.report_folder import ReportError
from evaluation.judges.class_map import read_mapping
from evaluation.judges.judge_kinds import shared_judge
from evaluation.pages.robustness_page import robustness_page
from evaluation.robustness.attacks import BATCH
from evaluation.robustness.curve_files import write_curve
from evaluation.robustness.robustness_curves import ROWS, Point
from evaluation.robustness.robustness_metrics import summarise
from evaluation.robustness.robustness_plan import Item
from evaluation.robustness.robustness_worker import ReadItem, RobustnessWorker
from evaluation.robustness.trained_head import overlap, train
from evaluation.robustness.trials import Settings, check_settings, make_plan
from evaluation.robustness.worst_clips import remake
from pipelines.progress import Watch, unwatched


@dataclass(frozen=True, eq=False)
class Robustness:
    """The results of a report: its folder, metrics.json, the curve, the rows, and clips that could not be used."""

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
    """Test a classifier.

    Args:
        items: the labelled clips.
        report: folder to write to; local, and seen by all workers.
        settings: the user's.
        read: reads clips; it is pickled.
        options: Beam's.
        training: clips to train a linear head on, which is then the classifier; none uses the judge. Their mean
            embeddings (4 kB each) are in memory at once.
        lost: earlier failures.
        command: the command line, for the page.
        watch: shows the progress.

    Raises:
        JudgeError: the classifier cannot be used, or has no class for any of the labels.
        ReportError: the report cannot be written there, or the settings make no sense.
        WeightsError: YAMNet's weights cannot be found.
    """
    check_settings(settings)
    known, failures = read_mapping(settings.class_map), list(lost)
    read_mapping(settings.yamnet_map)
    folder = report_folder.check_folder(report)
    judge, trained = settings.judge, None
    if training:
        judge, trained, more = train(training, folder, settings.judge, read, options, watch)
        failures += more
    loaded = shared_judge(judge)
    notes = overlap(training, items)
    plan = make_plan(items, loaded, judge, known, settings, notes)
    used = [item for item in items if plan.truth(item.labels)]
    with report_folder.parts_folder(folder) as parts:
        with watch(parts, len(used) * plan.sounds_per_clip, "sounds tested"):
            run_workers(batches(used, settings.seed), RobustnessWorker, (plan, read), parts, ROWS, options)
        rows = read_rows(parts, ROWS, ["id", "perturbation", "snr_db"])
        failures += read_failures(parts)
    if rows.empty:
        first = f"; the first: {failures[0].error}" if failures else ""
        raise ReportError(f"none of the {len(items)} clips could be used{first}")
    metrics, points = summarise(rows, plan, loaded, settings, trained, notes, failures)
    clean = metrics["clean_accuracy"]
    report_folder.write_table(folder / "robustness.parquet", rows, ROWS)
    report_folder.write_failures(folder, failures)
    write_curve(folder, points, math.nan if clean is None else clean, metrics["metric"])
    report_folder.write_json(folder / "metrics.json", metrics)
    page = robustness_page(metrics, remake(metrics["worst"], used, plan, read), command)
    report_folder.write_text(folder / "report.html", page)
    return Robustness(folder, metrics, points, rows, failures)


def batches(items: Sequence[Item], seed: int) -> list[list[Item]]:
    """Divide clips into batches of nearly equal size, shuffled by the seed alone."""
    mixed = sorted(items, key=lambda item: (draws.draw(seed, item.id, 0, "batch"), item.id))
    count = -(-len(mixed) // BATCH)
    return [mixed[first::count] for first in range(count)]
