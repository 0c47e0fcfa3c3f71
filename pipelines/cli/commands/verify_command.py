"""``dreambeam verify``: whether a dataset is intact."""

from __future__ import annotations

import dataclasses
import json

from typer import Argument, Option

from pipelines.cli import options
from pipelines.cli.ending import DONE, FAILED
from pipelines.cli.quiet import start_tensorflow

app = options.new_app()


@app.command()
def verify(
    dataset: str = Argument(..., metavar="DATASET_DIR", help="Dataset that dreambeam augment wrote."),
    sources: bool = Option(True, "--sources/--no-sources", help="Also hash the source files."),
    as_json: bool = options.AS_JSON,
    debug: bool = options.DEBUG,
) -> int:
    """Check a dataset's files, records and sources.

    Checked are the shards and their checksums, hashes, the schema, the provenance, counts, and whether the source files
    are unchanged. Exit code 1: there is a problem.
    """
    from pipelines.dataset.reader import find_folder

    find_folder(dataset)

    start_tensorflow()
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from augment.counted import counted
    from augment.determinism.arithmetic import arithmetic
    from pipelines.cli.watch import bar
    from pipelines.verify.verify import verify

    with bar(TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()) as shown:
        task = shown.add_task("records", total=None)

        def show(what: str, done: int, total: int) -> None:
            shown.update(task, description=what, completed=done, total=total)

        report = verify(dataset, sources=sources, on_progress=show)
    code = FAILED if report.problem_count else DONE
    if as_json:
        print(json.dumps({"folder": dataset, "ok": not report.problem_count, **dataclasses.asdict(report)}))
        return code
    for problem in report.problems:
        print(problem)
    if report.problem_count > len(report.problems):
        print(f"and {report.problem_count - len(report.problems)} more")
    hashed = f", {counted(report.sources, 'source file')}" if sources else ""
    shards = f"{counted(report.shards, 'shard')} ({report.shard_bytes / 1e6:.1f} MB)"
    state = counted(report.problem_count, "problem") if report.problem_count else "OK"
    print(f"{dataset}: {state}: {counted(report.records, 'record')} in {shards}{hashed}")
    if report.made_on:
        made = ", ".join(f"{counted(count, 'dream')} on {name}" for name, count in report.made_on.items())
        print(f"  made: {made}; this machine: {arithmetic()}")
    return code
