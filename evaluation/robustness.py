"""One robustness report: from labelled clips and a classifier to figures on disk.

The folder gets metrics.json, robustness.parquet (a row for each clip, perturbation and SNR), curve.csv,
robustness.png, failures.jsonl and, where a head was trained, head.npz. Keys of metrics.json that stay:

    clean_accuracy         on the clips as they came; clean.{value,low,high,n,sources}
    curve[]                {perturbation, snr_db, accuracy, low, high, n}
    trusted, warnings[]    whether the report believes itself (`evaluation.trust`), and why not
    per_class[], halving.<perturbation>.{snr_db,at}, worst[], judge, seed, versions

With several labels for a clip ``metric`` is "map": `accuracy` is then the mean average precision, and the checks of
trust look at how often the top answer is right.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.options.pipeline_options import PipelineOptions

from augment import draws
from augment.classes import yamnet_classes
from evaluation import robustness_pipeline as pipeline
from evaluation import security, trust
from evaluation.bench import BATCH, JUDGE, YAMNET, Item, Trial, forget_routes, has_white_box
from evaluation.evaluate import ReportError, versions, write_json
from evaluation.heads import fit_head, save_head
from evaluation.judges import Judge, JudgeError, JudgeSpec, forget_judges, judge_kind, shared_judge
from evaluation.mapping import map_classes, read_mapping
from evaluation.metrics import FEW_CLIPS, number
from evaluation.perturbations import PERTURBATIONS
from evaluation.pipeline import read_failures
from evaluation.robustness_page import write_page
from evaluation.robustness_worker import ReadItem
from evaluation.security import Point
from evaluation.worker import Failed

VERSION = 1
"""Of metrics.json's layout."""

BUDGETS = (40.0, 35.0, 30.0, 25.0, 20.0, 15.0, 10.0)
"""SNRs in dB that are tried where none are named."""

BUDGET_RANGE = (-20.0, 100.0)

THROUGH = ("auto", "judge", "yamnet", "both")
"""auto: both for a head on YAMNet, the classifier for YAMNet itself, YAMNet for any other."""


@dataclass(frozen=True)
class Settings:
    """What the user may choose.

    Attributes:
        judge: the classifier; not looked at where a head is trained. Of YAMNet's 521 classes only those compete that a
            label means, or a bark would be lost to "Animal"; of any other classifier all do.
        class_map: CSV from labels to the classifier's classes.
        yamnet_map: CSV from labels to YAMNet's classes, for dreams through it.
        through: of `THROUGH`.
        targeted: dream toward random classes.
        untargeted: dream toward whichever wrong class is nearest.
        budgets: SNRs in dB.
        steps: of gradient ascent.
        seed: of targets, noise and batches.
        multi_label: clips may have several labels.
    """

    judge: JudgeSpec = field(default_factory=JudgeSpec)
    class_map: str | None = None
    yamnet_map: str | None = None
    through: str = "auto"
    targeted: bool = True
    untargeted: bool = True
    budgets: tuple[float, ...] = BUDGETS
    steps: int = 20
    seed: int = 0
    multi_label: bool = False


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

    Raises:
        JudgeError: the classifier cannot be used, or knows none of the labels.
        ReportError: the report cannot be written there, or the settings make no sense.
        WeightsError: YAMNet's weights are not to be had.
    """
    _check(settings)
    known, failures = read_mapping(settings.class_map), list(lost)
    read_mapping(settings.yamnet_map)
    folder = check_folder(Path(report))
    judge, trained = settings.judge, None
    if training:
        judge, trained, more = _train(training, folder, settings.judge, read, options)
        failures += more
    loaded = shared_judge(judge)
    notes: list[str] = []
    trial = _trial(items, loaded, judge, known, settings, notes)
    used = [item for item in items if trial.truth(item.labels)]
    parts = pipeline.new_folder(folder)
    try:
        pipeline.try_batches(trial, batches(used, settings.seed), read, parts, options)
        rows = pipeline.read_parts(parts, security.ROWS, ("id", "perturbation", "snr_db"))
        failures += read_failures(parts)
    finally:
        shutil.rmtree(parts, ignore_errors=True)
    if rows.empty:
        first = f"; the first: {failures[0].error}" if failures else ""
        raise ReportError(f"none of the {len(items)} clips could be used{first}")
    found, points = _metrics(rows, trial, loaded, settings, trained, notes, failures)
    _write(folder, found, points, rows, failures)
    return Robustness(folder, found, points, rows, failures)


def batches(items: Sequence[Item], seed: int) -> list[list[Item]]:
    """Share clips out in batches of nearly equal size, mixed by the seed, the same whoever works on them."""
    mixed = sorted(items, key=lambda item: (draws.draw(seed, item.id, 0, "batch"), item.id))
    count = -(-len(mixed) // BATCH)
    return [mixed[first::count] for first in range(count)]


def check_folder(target: Path) -> Path:
    """Refuse a folder that holds what is no report of ours; make it.

    Raises:
        ReportError: it cannot be used.
    """
    if target.exists() and not target.is_dir():
        raise ReportError(f"--report {str(target)!r} is a file: give a folder")
    if target.is_dir() and any(target.iterdir()) and not (target / "metrics.json").exists():
        raise ReportError(f"--report {str(target)!r} holds something that is no report: give an empty or a new folder")
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReportError(f"--report {str(target)!r} cannot be made: {error.strerror}") from error
    return target


def _check(settings: Settings) -> None:
    low, high = BUDGET_RANGE
    if not settings.budgets or not all(low <= snr <= high for snr in settings.budgets):
        raise ReportError(f"--snr-db takes SNRs from {low:g} to {high:g} dB, such as 40,30,20")
    if settings.steps < 1:
        raise ReportError(f"--steps is {settings.steps}; expected at least 1")
    if settings.through not in THROUGH:
        raise ReportError(f"--through is {settings.through!r}; choices: {', '.join(THROUGH)}")
    if not (settings.targeted or settings.untargeted):
        raise ReportError("neither targeted nor untargeted dreams are wanted: choose one")


def _train(
    items: Sequence[Item], folder: Path, judge: JudgeSpec, read: ReadItem, options: PipelineOptions
) -> tuple[JudgeSpec, dict[str, Any], list[Failed]]:
    """Train a head, store it, and return it as a judge with what it was trained on."""
    parts = pipeline.new_folder(folder)
    try:
        pipeline.embed(items, judge.weights, read, parts, options)
        heard = pipeline.read_parts(parts, pipeline.EMBEDDINGS, ("id",))
        failures = read_failures(parts)
    finally:
        shutil.rmtree(parts, ignore_errors=True)
    if heard.empty:
        raise ReportError(f"none of the {len(items)} training clips could be used; the first: {failures[0].error}")
    embeddings = np.stack(list(heard["embedding"])).astype(np.float64)
    head = fit_head(embeddings, list(heard["label"]))
    path = folder / "head.npz"
    save_head(head, path)
    forget_judges()
    forget_routes()
    right = head.logits(embeddings).argmax(axis=1) == [head.names.index(label) for label in heard["label"]]
    about = {"clips": len(heard), "classes": len(head.names), "training_accuracy": number(float(right.mean()))}
    return JudgeSpec(str(path), weights=judge.weights), about, failures


def _trial(
    items: Sequence[Item],
    judge: Judge,
    spec: JudgeSpec,
    given: Mapping[str, str],
    settings: Settings,
    notes: list[str],
) -> Trial:
    labels = sorted({label for item in items for label in item.labels})
    known = map_classes(judge.classes, labels, given, {})
    columns = tuple(sorted(set(known.labels.values())))
    if not columns:
        raise JudgeError(
            f"judge {judge.name} has no class for any of the labels ({', '.join(labels[:5])}): map them with "
            "--class-map (name,class)"
        )
    if missing := [label for label in labels if label not in known.labels]:
        notes.append(
            f"the judge has no class for {len(missing)} of {len(labels)} labels ({', '.join(missing[:5])}): their "
            "clips are left out; map them with --class-map"
        )
    if judge_kind(spec.judge) != "yamnet" or len(columns) == 1:  # a classifier of one's own answers with any class
        columns = tuple(range(len(judge.classes)))
    position = {column: place for place, column in enumerate(columns)}
    truths = tuple((label, position[column]) for label, column in sorted(known.labels.items()))
    through = _routes(spec, settings)
    answers: tuple[tuple[int, int], ...] = ()
    if YAMNET in through:
        answers = _answers(dict(truths), len(columns), judge, columns, settings, notes)
        through = through if answers else through - {YAMNET}
    aims = {False: settings.untargeted, True: settings.targeted}
    dreams = [
        name
        for name, each in PERTURBATIONS.items()
        if (each.through in through and (name == trust.ONE_STEP or aims[each.targeted]))
        or (each.through is None and (through or name != "other_dream"))
    ]
    return Trial(
        judge=spec,
        columns=columns,
        names=tuple(judge.classes[column].name for column in columns),
        truths=truths,
        answers=answers,
        perturbations=tuple(dreams),
        budgets=tuple(sorted(set(map(float, settings.budgets)), reverse=True)),
        steps=settings.steps,
        seed=settings.seed,
    )


def _routes(spec: JudgeSpec, settings: Settings) -> set[str]:
    kind, white = judge_kind(spec.judge), has_white_box(spec)
    if settings.through in ("judge", "both") and not white:
        raise ReportError(
            f"--through {settings.through}: judge {spec.judge!r} gives no gradients to dream through; only yamnet and "
            "heads on it do: use --through yamnet"
        )
    if kind == "yamnet":
        return {JUDGE}
    wanted = {"auto": {JUDGE, YAMNET} if white else {YAMNET}, "judge": {JUDGE}, "yamnet": {YAMNET}}
    return wanted.get(settings.through, {JUDGE, YAMNET})


def _answers(
    truths: Mapping[str, int],
    count: int,
    judge: Judge,
    columns: Sequence[int],
    settings: Settings,
    notes: list[str],
) -> tuple[tuple[int, int], ...]:
    """Return YAMNet's classes for the classes under test, by their labels or else by their own names."""
    given = read_mapping(settings.yamnet_map)
    names = {**dict(truths.items())}
    for position in set(range(count)) - set(truths.values()):
        names.setdefault(judge.classes[columns[position]].name, position)
    found = map_classes(yamnet_classes(), names, given, {})
    by_class: dict[int, set[int]] = {}
    for name, index in found.labels.items():
        by_class.setdefault(index, set()).add(names[name])
    answers = tuple(sorted((index, min(places)) for index, places in by_class.items() if len(places) == 1))
    unknown = sorted(name for name in names if found.labels.get(name) not in dict(answers))
    if unknown:
        notes.append(
            f"YAMNet has no class of its own for {len(unknown)} of {len(names)} labels ({', '.join(unknown[:5])}): "
            "their clips have no dream through it; map them with --yamnet-map"
        )
    return answers if len({position for _, position in answers}) > 1 else ()


def _metrics(
    rows: pd.DataFrame,
    trial: Trial,
    judge: Judge,
    settings: Settings,
    trained: Mapping[str, Any] | None,
    notes: Sequence[str],
    failures: Sequence[Failed],
) -> tuple[dict[str, Any], list[Point]]:
    order = trial.perturbations
    clean_rows = rows[rows["perturbation"] == security.CLEAN]
    clean = security.figure(clean_rows, multi_label=settings.multi_label)
    points = security.curve(rows, order, multi_label=settings.multi_label)
    top = security.curve(rows, order, multi_label=False) if settings.multi_label else points
    reasons = trust.doubts(top)
    main = next((name for name in order if PERTURBATIONS[name].through), None)
    found = {
        "version": VERSION,
        "judge": judge.name,
        "judge_details": {
            "kind": judge_kind(trial.judge.judge),
            "identity": judge.identity,
            "classes": list(trial.names),
            "sample_rate": judge.sample_rate,
            "trained": dict(trained) if trained else None,
        },
        "seed": settings.seed,
        "steps": settings.steps,
        "metric": "map" if settings.multi_label else "accuracy",
        "n_clips": clean.n,
        "n_sources": clean.clips,
        "n_failed": len(failures),
        "clean_accuracy": number(clean.value),
        "clean": security.share(clean),
        "curve": [security.as_json(point) for point in points],
        "halving": security.halving(points, clean.value),
        "reached": _reached(rows, order),
        "per_class": security.per_class(rows, trial.names, order),
        "worst": security.worst(rows, main, trial.names) if main else [],
        "trusted": not reasons,
        "warnings": [*reasons, *notes, *_notes(clean.clips, failures)],
        "versions": versions(),
    }
    return found, points


def _reached(rows: pd.DataFrame, order: Sequence[str]) -> list[dict[str, Any]]:
    """Return how often targeted dreams are heard as their target: {perturbation, snr_db, value, low, high, n}."""
    found = []
    for name in order:
        own = rows[(rows["perturbation"] == name) & rows["reached"].notna()]
        for snr in sorted(set(own["snr_db"]), reverse=True):
            here = own[own["snr_db"] == snr]
            told = security.figure(here.assign(correct=here["reached"].astype(float)), multi_label=False)
            found.append({"perturbation": name, "snr_db": snr, **security.share(told)})
    return found


def _notes(sources: int, failures: Sequence[Failed]) -> list[str]:
    found = []
    if sources < FEW_CLIPS:
        found.append(f"intervals come from {sources} source clips: of fewer than {FEW_CLIPS} they are too narrow")
    if failures:
        found.append(f"{len(failures)} clips could not be used (failures.jsonl), such as {failures[0].id}")
    return found


def _write(
    folder: Path, found: Mapping[str, Any], points: Sequence[Point], rows: pd.DataFrame, failures: Sequence[Failed]
) -> None:
    table = pa.Table.from_pandas(rows, security.ROWS, preserve_index=False)
    pq.write_table(table, folder / "robustness.parquet.partial")
    os.replace(folder / "robustness.parquet.partial", folder / "robustness.parquet")
    lines = "".join(json.dumps(asdict(each)) + "\n" for each in failures)
    (folder / "failures.jsonl").write_text(lines, encoding="utf-8")
    clean = found["clean_accuracy"]
    write_page(folder, points, math.nan if clean is None else clean, found["metric"])
    write_json(folder / "metrics.json", found)
