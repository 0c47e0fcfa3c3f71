"""``dreambeam verify``: whether a dataset is what it says of itself."""

from __future__ import annotations

import dataclasses
import json
import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from augment.counted import counted
from augment.determinism.arithmetic import arithmetic
from pipelines.dataset.findings import Report
from pipelines.dataset.verify import verify


def run(folder: str, *, sources: bool, as_json: bool) -> int:
    """Check the dataset and print each problem; return 0 if there is none, 1 otherwise."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("records", total=None)

        def show(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        report = verify(folder, sources=sources, on_progress=show)
    if as_json:
        print(json.dumps({"folder": folder, "ok": not report.problem_count, **dataclasses.asdict(report)}))
    else:
        _say(folder, report, sources)
    return 1 if report.problem_count else 0


def _say(folder: str, report: Report, sources: bool) -> None:
    for problem in report.problems:
        print(problem)
    if report.problem_count > len(report.problems):
        print(f"and {report.problem_count - len(report.problems)} more")
    hashed = f", {counted(report.sources, 'source file')}" if sources else ""
    shards = f"{counted(report.shards, 'shard')} ({report.shard_bytes / 1e6:.1f} MB)"
    read = f"{counted(report.records, 'record')} in {shards}{hashed}"
    state = counted(report.problem_count, "problem") if report.problem_count else "OK"
    print(f"{folder}: {state}: {read}")
    if report.made_on:
        made = ", ".join(f"{counted(count, 'dream')} on {name}" for name, count in report.made_on.items())
        print(f"  made: {made}; this machine: {arithmetic()}")
