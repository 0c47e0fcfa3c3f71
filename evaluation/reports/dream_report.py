"""The evaluation report: from datasets to files on disk.

Each dataset gets a folder with metrics.json (`evaluation.dreams.dream_metrics`), examples.parquet
(`evaluation.dreams.dream_rows`), failures.jsonl and report.html (`evaluation.pages.report_page`). The folders of
several datasets lie below the report's. With more than one dataset or recipe, comparison.json compares them
(`evaluation.dreams.compare`); for several datasets a report.html at the top shows it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from apache_beam.options.pipeline_options import PipelineOptions

from augment.models.weights import WeightsError
from augment.targets.ontology import Ontology, OntologyError, audioset_ontology
from evaluation.dreams import compare, dream_metrics, evaluation_graph, report_folder
from evaluation.dreams.dream_evaluator import EvaluationPlan, Failed
from evaluation.dreams.dream_rows import RowContext, schema
from evaluation.dreams.originals import ReadSource
from evaluation.dreams.report_folder import Evaluation, Report
from evaluation.judges.class_map import map_classes, read_mapping
from evaluation.judges.judge import Judge, JudgeSpec
from evaluation.judges.judge_kinds import judge_kind, shared_judge
from evaluation.pages import comparison_page, report_page
from pipelines.dataset.reader import Dataset, DatasetError, open_dataset
from pipelines.progress import Watch, unwatched

VERSION = 1
"""Of metrics.json's layout."""


def evaluate(
    datasets: Sequence[str],
    report: str | os.PathLike[str],
    judge: JudgeSpec,
    read_source: ReadSource,
    options: PipelineOptions,
    class_map: str | None = None,
    watch: Watch = unwatched,
) -> Report:
    """Evaluate datasets into a local report folder that all workers see.

    Args:
        datasets: folders that ``dreambeam augment`` has written.
        report: folder to write to.
        judge: the classifier.
        read_source: reads originals that a dataset does not hold; it is pickled.
        options: Beam's.
        class_map: the user's CSV (`evaluation.judges.class_map`).
        watch: shows the progress of each dataset.

    Raises:
        DatasetError: a dataset cannot be evaluated.
        JudgeError: the judge cannot be used.
        ReportError: the report cannot be written there.
        WeightsError: YAMNet's weights cannot be found.
    """
    opened = [open_dataset(path, with_records=True) for path in datasets]
    given = read_mapping(class_map)
    target = report_folder.check_folder(report, [dataset.path for dataset in opened])
    loaded = shared_judge(judge)
    notes: list[str] = []
    embedder, ontology = _embedder(judge, notes), _ontology(notes)
    names = compare.unique_names([dataset.name for dataset in opened])
    evaluations = []
    for name, dataset in zip(names, opened, strict=True):
        known = map_classes(loaded.classes, dataset.labels, given, dataset.label_classes, dataset.classes)
        context = RowContext(loaded.classes, known, ontology)
        plan = EvaluationPlan(dataset, judge, embedder, context, loaded.identity)
        folder = target if len(opened) == 1 else target / name
        evaluations.append(_evaluate_one(name, folder, plan, loaded, read_source, options, notes, watch))
    comparison = compare.compare({each.name: each.rows for each in evaluations})
    if len(comparison["entries"]) < 2:
        (target / "comparison.json").unlink(missing_ok=True)
        done = Report(evaluations, None)
    else:
        report_folder.write_json(target / "comparison.json", {"version": VERSION, **comparison})
        done = Report(evaluations, comparison)
    _write_pages(target, done, read_source)
    return done


def _write_pages(target: Path, report: Report, read_source: ReadSource) -> None:
    several, comparison = len(report.evaluations) > 1, report.comparison
    side_by_side = None if several or comparison is None else comparison_page.recipes_section(comparison)
    for each in report.evaluations:
        page = report_page.evaluation_page(each, read_source, side_by_side)
        report_folder.write_text(each.folder / "report.html", page)
    if several and comparison is not None:
        page = comparison_page.comparison_page(report.evaluations, comparison)
        report_folder.write_text(target / "report.html", page)


def _evaluate_one(
    name: str,
    folder: Path,
    plan: EvaluationPlan,
    judge: Judge,
    read_source: ReadSource,
    options: PipelineOptions,
    notes: Sequence[str],
    watch: Watch,
) -> Evaluation:
    folder.mkdir(parents=True, exist_ok=True)
    with report_folder.parts_folder(folder) as parts:
        with watch(parts, plan.dataset.records, f"records of {name} evaluated"):
            evaluation_graph.run_pipeline(plan, read_source, parts, options)
        rows = evaluation_graph.read_rows(parts, schema(), ["id"])
        failures, sums = evaluation_graph.read_failures(parts), evaluation_graph.read_sums(parts)
    if rows.empty:
        raise DatasetError(_why_empty(plan.dataset, failures))
    lost = []
    if failures:
        lost.append(f"{len(failures)} dreams could not be evaluated (failures.jsonl), such as {failures[0].id}")
    metrics = {
        "version": VERSION,
        "dataset": plan.dataset.name,
        "judge": judge.name,
        "judge_details": {
            "kind": judge_kind(plan.judge.judge),
            "identity": judge.identity,
            "classes": len(judge.classes),
            "sample_rate": judge.sample_rate,
            "is_dreaming_model": judge.identity == plan.dataset.model_identity,
        },
        "n_failed": len(failures),
        **dream_metrics.summarise(rows, sums),
        "versions": report_folder.versions(),
        "warnings": [*notes, *lost, *dream_metrics.warnings_of(rows, sums)],
    }
    report_folder.write_table(folder / "examples.parquet", rows, schema())
    report_folder.write_failures(folder, failures)
    report_folder.write_json(folder / "metrics.json", metrics)
    return Evaluation(name, folder, plan.dataset, metrics, rows, failures)


def _embedder(judge: JudgeSpec, notes: list[str]) -> JudgeSpec | None:
    """Return YAMNet for the embeddings beside another judge; None if it is the judge, or has no weights."""
    if judge.judge == "yamnet":
        return None
    spec = JudgeSpec(weights=judge.weights)
    try:
        shared_judge(spec)
    except WeightsError as error:
        notes.append(f"embeddings are left out, as YAMNet cannot be loaded ({' '.join(str(error).split())[:120]})")
        return None
    return spec


def _ontology(notes: list[str]) -> Ontology | None:
    try:
        return audioset_ontology()
    except OntologyError as error:
        notes.append(f"kinship to the target and shifts by category are left out: {error}")
        return None


def _why_empty(dataset: Dataset, failures: Sequence[Failed]) -> str:
    if not failures:
        return f"dataset {dataset.path!r} holds originals and no dreams: there is nothing to evaluate"
    return (
        f"none of the {len(failures)} dreams of {dataset.path!r} could be evaluated; the first failed at "
        f"{failures[0].stage}: {failures[0].error}"
    )
