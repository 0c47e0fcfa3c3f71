"""A run of ``dreambeam evaluate`` around `evaluation.reports.dream_report`, and its summary."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from augment.counted import counted
from augment.models.weights import resolve_weights
from evaluation.dreams.originals import MissingSourceError
from evaluation.dreams.report_folder import Evaluation
from evaluation.judges.judge import JudgeSpec
from evaluation.reports.dream_report import evaluate
from pipelines.cli.ending import DONE, SOME_CLIPS_FAILED
from pipelines.cli.quiet import only_own_messages
from pipelines.cli.watch import watch_records
from pipelines.clips.clips import decode
from pipelines.clips.references import clip_ref
from pipelines.files.containers import ClipError
from pipelines.progress import unwatched
from pipelines.run.augmentation import is_local, pipeline_options

_MOST_COLUMNS = 4


def run(
    datasets: Sequence[str],
    report: str,
    judge: JudgeSpec,
    class_map: str | None,
    beam_args: Sequence[str],
    *,
    debug: bool,
) -> int:
    """Evaluate, print a summary and the report's files; return 3 if some dreams could not be evaluated."""
    local = is_local(beam_args)
    with only_own_messages(local=local, debug=debug), _for_workers(judge, report, local=local) as spec:
        options = pipeline_options(beam_args)
        done = evaluate(datasets, report, spec, read_source, options, class_map, watch_records if local else unwatched)
    console = Console(highlight=False, soft_wrap=True)
    for each in done.evaluations:
        _print(console, each)
    for pair in (done.comparison or {}).get("pairs", []):
        console.print(_pair(pair), markup=False)
    console.print(f"{report}: {', '.join(_files(done.evaluations, done.comparison))}", markup=False)
    return SOME_CLIPS_FAILED if any(each.failures for each in done.evaluations) else DONE


@contextmanager
def _for_workers(judge: JudgeSpec, report: str, *, local: bool) -> Iterator[JudgeSpec]:
    """Copy YAMNet's weights beside the report, where all workers of a cluster see them, while the evaluation runs."""
    if local:
        yield judge
        return
    target = Path(os.path.realpath(report))
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.weights-", dir=target.parent) as folder:
        os.chmod(folder, 0o755)  # workers may be other users
        found = resolve_weights(judge.weights)
        staged = Path(folder) / found.name
        if found.is_dir():
            shutil.copytree(found, staged)
        else:
            shutil.copy(found, staged)
        yield dataclasses.replace(judge, weights=str(staged))


def read_source(source: Mapping[str, Any]) -> tuple[np.ndarray, int]:
    """Read the clip that provenance names: float32 [samples, channels], and its sample rate in Hz.

    Raises:
        MissingSourceError: it cannot be read, or it is not the clip that was dreamed.
    """
    missing = f"the dataset holds no original of {source['id']!r}, and "
    try:
        clip = decode(clip_ref(source))
    except ClipError as error:
        raise MissingSourceError(f"{missing}{error}") from error
    if clip.sha256 != source["sha256"]:
        changed = f"{source['uri']!r} is another file by now: put back the one that was dreamed"
        raise MissingSourceError(f"{missing}{changed}")
    return clip.waveform, clip.ref.sample_rate


def _print(console: Console, found: Evaluation) -> None:
    metrics = found.metrics
    console.print(
        f"{found.name}: {counted(metrics['n_examples'], 'dream')} of {counted(metrics['n_sources'], 'recording')}, "
        f"classified by {metrics['judge']}",
        markup=False,
    )
    recipes = metrics["by_recipe"]
    columns = {"all": metrics, **(recipes if 1 < len(recipes) <= _MOST_COLUMNS else {})}
    table = Table(title="95 % intervals over recordings", title_justify="left")
    table.add_column("")
    for name in columns:
        table.add_column(escape(name), justify="right")
    for title, cell in _LINES.items():
        table.add_row(title, *(cell(each) for each in columns.values()))
    console.print(table)
    for warning in metrics["warnings"]:
        console.print(f"  note: {warning}", markup=False)


def _pair(pair: Mapping[str, Any]) -> str:
    """Return a line that compares two datasets."""
    matched = "clip and target" if len(pair["matched_by"]) > 1 else "clip"
    shared = f"{counted(pair['shared_units'], 'pair')} by {matched}, {counted(pair['shared_sources'], 'recording')}"
    parts = []
    for name, unit in (("success_top1", 100), ("success_top5", 100), ("label_kept", 100), ("snr_db", 1)):
        found = pair["measures"][name]
        if found["difference"] is not None:
            ends = "" if found["low"] is None else f" ({unit * found['low']:+.1f} to {unit * found['high']:+.1f})"
            parts.append(f"{name} {unit * found['difference']:+.1f}{' points' if unit == 100 else ' dB'}{ends}")
    return f"{pair['b']} minus {pair['a']} ({shared}): {'; '.join(parts) or 'nothing is shared'}"


def share(found: Mapping[str, Any]) -> str:
    """Return a share and its interval in percent."""
    if found["value"] is None:
        return "-"
    ends = "" if found["low"] is None else f" ({found['low']:.0%}-{found['high']:.0%})"
    return f"{found['value']:.1%}{ends}"


def _number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _snr(found: Mapping[str, Any]) -> str:
    same = f", {found['identical']} identical" if found["identical"] else ""
    return f"{_number(found['median'], 1)} ({_number(found['p10'], 1)} to {_number(found['p90'], 1)}){same}"


def _ranks(found: Mapping[str, Any]) -> str:
    return f"{_number(found['before_median'])} to {_number(found['after_median'])}"


_LINES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "dreams": lambda each: str(each["n_examples"]),
    "target comes on top": lambda each: share(each["success"]["top1"]),
    "target comes into the top 5": lambda each: share(each["success"]["top5"]),
    "another class on top": lambda each: share(each["top_changed"]),
    "label stays in the top 5": lambda each: share(each["label_kept"]),
    "median rank of the target": lambda each: _ranks(each["target_rank"]),
    "SNR in dB (p10 to p90)": lambda each: _snr(each["snr_db"]),
    "Fréchet audio distance": lambda each: _number(each["fad"], 2),
}
"""Lines of the summary's table: from a block of metrics to a cell."""


def _files(evaluations: Sequence[Evaluation], comparison: Mapping[str, Any] | None) -> list[str]:
    names = ["report.html", "metrics.json", "examples.parquet"]
    if len(evaluations) > 1:
        names = ["report.html", *(f"{each.name}/{name}" for each in evaluations for name in names)]
    return [*names, *(["comparison.json"] if comparison else [])]
