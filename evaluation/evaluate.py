"""One evaluation: from datasets to reports on disk.

Each dataset gets a folder with metrics.json (`evaluation.metrics`), examples.parquet (`evaluation.examples`),
failures.jsonl and report.html (`evaluation.report_page`); of several datasets each has its own folder below the
report's. Where there is more than one dataset or recipe, comparison.json sets them side by side (`evaluation.compare`),
and of several datasets a report.html at the top shows it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from apache_beam.options.pipeline_options import PipelineOptions

from augment.ontology import Ontology, OntologyError, audioset_ontology
from augment.progress import Watch, unwatched
from augment.weights import WeightsError
from evaluation import compare, comparison_page, metrics, pipeline, report_page
from evaluation.dataset import Dataset, DatasetError, ReadSource, open_dataset
from evaluation.examples import SCHEMA, Bearings
from evaluation.folders import check_folder, parts_folder, versions, write_failures, write_json, write_table, write_text
from evaluation.judges import Judge, JudgeSpec, judge_kind, shared_judge
from evaluation.mapping import map_classes, read_mapping
from evaluation.worker import Failed, Plan

VERSION = 1
"""Of metrics.json's layout."""


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


def evaluate(
    datasets: Sequence[str],
    report: str | os.PathLike[str],
    judge: JudgeSpec,
    read_source: ReadSource,
    options: PipelineOptions,
    class_map: str | None = None,
    watch: Watch = unwatched,
) -> Report:
    """Evaluate datasets.

    Args:
        datasets: folders that ``dreambeam augment`` has written.
        report: folder to write to; local, and seen by all workers.
        judge: who hears the outputs.
        read_source: see `evaluation.dataset`.
        options: Beam's.
        class_map: the user's CSV, see `evaluation.mapping`.
        watch: shows how far it is, dataset by dataset.

    Raises:
        DatasetError: a dataset cannot be evaluated.
        JudgeError: the judge cannot be used.
        ReportError: the report cannot be written there.
        WeightsError: YAMNet's weights are not to be had.
    """
    opened = [open_dataset(path) for path in datasets]
    given = read_mapping(class_map)
    target = check_folder(report, [dataset.path for dataset in opened])
    loaded = shared_judge(judge)
    notes: list[str] = []
    ears, ontology = _ears(judge, notes), _ontology(notes)
    names = compare.unique_names([dataset.name for dataset in opened])
    evaluations = []
    for name, dataset in zip(names, opened, strict=True):
        known = map_classes(loaded.classes, dataset.labels, given, dict(dataset.label_classes), dataset.classes)
        plan = Plan(dataset, judge, ears, Bearings(loaded.classes, known, ontology), loaded.identity)
        folder = target if len(opened) == 1 else target / name
        evaluations.append(_evaluate_one(name, folder, plan, loaded, read_source, options, notes, watch))
    comparison = compare.compare({each.name: each.rows for each in evaluations})
    if len(comparison["entries"]) < 2:
        (target / "comparison.json").unlink(missing_ok=True)
        done = Report(evaluations, None)
    else:
        write_json(target / "comparison.json", {"version": VERSION, **comparison})
        done = Report(evaluations, comparison)
    _write_pages(target, done, read_source)
    return done


def _write_pages(target: Path, report: Report, read_source: ReadSource) -> None:
    several = len(report.evaluations) > 1
    side_by_side = None if several or report.comparison is None else comparison_page.recipes_section(report.comparison)
    for each in report.evaluations:
        write_text(each.folder / "report.html", report_page.evaluation_page(each, read_source, side_by_side))
    if several and report.comparison is not None:
        write_text(target / "report.html", comparison_page.comparison_page(report.evaluations, report.comparison))


def _evaluate_one(
    name: str,
    folder: Path,
    plan: Plan,
    judge: Judge,
    read_source: ReadSource,
    options: PipelineOptions,
    notes: Sequence[str],
    watch: Watch,
) -> Evaluation:
    folder.mkdir(parents=True, exist_ok=True)
    with parts_folder(folder) as parts:
        with watch(parts, plan.dataset.records, f"records of {name} heard"):
            pipeline.run_pipeline(plan, read_source, parts, options)
        rows, failures, sums = pipeline.read_rows(parts), pipeline.read_failures(parts), pipeline.read_sums(parts)
    if rows.empty:
        raise DatasetError(_nothing(plan.dataset, failures))
    found = {
        "version": VERSION,
        "dataset": plan.dataset.name,
        "judge": judge.name,
        "judge_details": {
            "kind": judge_kind(plan.judge.judge),
            "identity": judge.identity,
            "classes": len(judge.classes),
            "sample_rate": judge.sample_rate,
            "is_dreaming_model": judge.identity == plan.dataset.model,
        },
        "n_failed": len(failures),
        **metrics.summarise(rows, sums),
        "versions": versions(),
        "warnings": [*notes, *_failed(failures), *metrics.warnings_of(rows, sums)],
    }
    write_table(folder / "examples.parquet", rows, SCHEMA)
    write_failures(folder, failures)
    write_json(folder / "metrics.json", found)
    return Evaluation(name, folder, plan.dataset, found, rows, failures)


def _ears(judge: JudgeSpec, notes: list[str]) -> JudgeSpec | None:
    """Return YAMNet for the embeddings beside another judge, None if that needs none or there are no weights."""
    if judge.judge == "yamnet":
        return None
    spec = JudgeSpec(weights=judge.weights)
    try:
        shared_judge(spec)
    except WeightsError as error:
        notes.append(f"embeddings are left out, as YAMNet is not to be had ({' '.join(str(error).split())[:120]})")
        return None
    return spec


def _ontology(notes: list[str]) -> Ontology | None:
    try:
        return audioset_ontology()
    except OntologyError as error:
        notes.append(f"kinship to the target and shifts by category are left out: {error}")
        return None


def _failed(failures: Sequence[Failed]) -> list[str]:
    if not failures:
        return []
    return [f"{len(failures)} dreams could not be evaluated (failures.jsonl), such as {failures[0].id}"]


def _nothing(dataset: Dataset, failures: Sequence[Failed]) -> str:
    if not failures:
        return f"dataset {dataset.path!r} holds originals and no dreams: there is nothing to evaluate"
    return (
        f"none of the {len(failures)} dreams of {dataset.path!r} could be evaluated; the first failed at "
        f"{failures[0].stage}: {failures[0].error}"
    )
