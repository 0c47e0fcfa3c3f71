"""One evaluation: from datasets to reports on disk.

Each dataset gets a folder with dream_metrics.json (`evaluation.dreams.dream_metrics`), examples.parquet
(`evaluation.dreams.dream_rows`), failures.jsonl and report.html (`evaluation.pages.report_page`); of several datasets
each has its own folder below the report's. Where there is more than one dataset or recipe, comparison.json sets them
side by side (`evaluation.dreams.compare`), and of several datasets a report.html at the top shows it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from apache_beam.options.pipeline_options import PipelineOptions

from augment.models.weights import WeightsError
from augment.targets.ontology import Ontology, OntologyError, audioset_ontology
from evaluation.dreams import compare, dream_metrics, evaluation_graph
from evaluation.dreams.dream_evaluator import Failed, Plan
from evaluation.dreams.dream_rows import SCHEMA, Bearings
from evaluation.dreams.evaluated import Evaluation, Report
from evaluation.dreams.originals import Dataset, DatasetError, ReadSource, open_dataset
from evaluation.dreams.report_folder import (
    check_folder,
    parts_folder,
    versions,
    write_failures,
    write_json,
    write_table,
    write_text,
)
from evaluation.judges.class_map import map_classes, read_mapping
from evaluation.judges.judge import Judge, JudgeSpec
from evaluation.judges.judge_kinds import judge_kind, shared_judge
from evaluation.pages import comparison_page, report_page
from pipelines.progress import Watch, unwatched

VERSION = 1
"""Of dream_metrics.json's layout."""


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
        read_source: see `evaluation.dreams.originals`.
        options: Beam's.
        class_map: the user's CSV, see `evaluation.judges.class_map`.
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
            evaluation_graph.run_pipeline(plan, read_source, parts, options)
        rows, failures, sums = (
            evaluation_graph.read_rows(parts),
            evaluation_graph.read_failures(parts),
            evaluation_graph.read_sums(parts),
        )
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
        **dream_metrics.summarise(rows, sums),
        "versions": versions(),
        "warnings": [*notes, *_failed(failures), *dream_metrics.warnings_of(rows, sums)],
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
