"""Verification: whether a dataset agrees with its metadata, and its sources are unchanged.

Reads everything once and in order: each shard's frames and checksums, each record with its row of provenance.parquet
(`pipelines.verify.shard_checks`), the failures, the counts, and last each source file. Only one record is in memory;
ids and sources go to a temporary file. To add a check of the whole dataset, write the function and list it in `CHECKS`.
Each problem is one line (`pipelines.verify.findings.Problems`).
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any

from pipelines.dataset.reader import DamagedError, open_dataset
from pipelines.dataset.schema import ORIGINAL
from pipelines.files.containers import ClipError
from pipelines.files.raw_records import source_sha256
from pipelines.messages import one_line
from pipelines.verify.findings import Notes, OnProgress, Problems, Report, Verification
from pipelines.verify.record_checks import FEATURES
from pipelines.verify.shard_checks import check_records


def verify(folder: str | os.PathLike[str], *, sources: bool = True, on_progress: OnProgress | None = None) -> Report:
    """Check all of a dataset, with its source files if `sources`.

    Raises `DatasetError` if it is none of dreambeam's.
    """
    problems, tally = Problems(), Counter[str]()
    try:
        dataset = open_dataset(folder)
        if lacking := [name for name in FEATURES if dataset.splits and name not in dataset.features]:
            raise DamagedError(
                f"{dataset.folder / 'features.json'} lacks {', '.join(lacking)}: another version's schema"
            )
    except DamagedError as error:
        problems.add(os.fspath(folder), str(error))
        return Report(tuple(problems.shown), problems.count)
    with closing(sqlite3.connect("")) as database:  # a temporary file of its own
        run = Verification(dataset, problems, Notes(database), tally, on_progress or (lambda *_: None))
        for check in (*CHECKS, *((check_sources,) if sources else ())):
            check(run)
    return Report(
        problems=tuple(problems.shown),
        problem_count=problems.count,
        shards=tally["shards"],
        records=tally["records"],
        sources=tally["sources"],
        shard_bytes=tally["bytes"],
        made_on=dict(run.made_on.most_common()),
    )


def check_files(run: Verification) -> None:
    """dataset_info.json and run.json agree, and the shards are those they name."""
    dataset, problems = run.dataset, run.problems
    named = sorted(map(str, dataset.run["splits"]))
    if named != (found := [split.name for split in dataset.splits]):
        problems.add("dataset_info.json", f"its splits are {found}, those of run.json {named}")
    if dataset.splits:
        name = json.loads((dataset.folder / "dataset_info.json").read_text(encoding="utf-8")).get("name")
        if name != dataset.run["config"]["name"]:
            problems.add(
                "dataset_info.json", f"its name is {name!r}, that of run.json {dataset.run['config']['name']!r}"
            )
        if (names := dataset.features["labels"].feature.names) != dataset.labels:
            problems.add("labels.labels.txt", f"its classes are {names}, those of label.labels.txt {dataset.labels}")
    expected = set()
    for split in dataset.splits:
        paths = [dataset.shard_path(split.name, shard) for shard in range(len(split.lengths))]
        expected |= {path.name for path in paths}
        for path in paths:
            if not path.is_file():
                problems.add(path.name, "the shard is missing")
        size = sum(path.stat().st_size for path in paths if path.is_file())
        if size != split.size:
            problems.add(f"split {split.name}", f"its shards hold {size} bytes, dataset_info.json says {split.size}")
    for path in sorted(dataset.folder.iterdir()):
        if re.search(r"\.tfrecord-\d+-of-\d+$", path.name) and path.name not in expected:
            problems.add(path.name, "there is no such shard by dataset_info.json")


def check_failures(run: Verification) -> None:
    """failures.jsonl can be read, and its failures are those that run.json counts."""
    stages: Counter[str] = Counter()
    lost = 0
    path = run.dataset.folder / "failures.jsonl"
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                failure = _read_failure(line)
                if failure is None:
                    run.problems.add(f"failures.jsonl, line {number}", "it is not a failure as JSON")
                else:
                    stages[failure["stage"]] += 1
                    lost += failure["records_lost"]
    except (OSError, UnicodeDecodeError) as error:
        run.problems.add("failures.jsonl", f"it cannot be read ({one_line(error)})")
        return
    if dict(stages) != run.dataset.run["failures_by_stage"]:
        counted = run.dataset.run["failures_by_stage"]
        run.problems.add("failures.jsonl", f"it has the failures {dict(stages)}, run.json counts {counted}")
    for name, found in (("failures", sum(stages.values())), ("records_lost", lost)):
        _compare(run, f"counts.{name}", run.dataset.run["counts"].get(name), found, "failures.jsonl has")


def check_counts(run: Verification) -> None:
    """The counts of run.json are right, and none of the records that its configuration asks for is missing."""
    content, tally = run.dataset.run, run.tally
    counts, config, recipes = content["counts"], content["config"], content["recipes"]
    _compare(run, "counts.records", counts.get("records"), tally["records"], "the shards have")
    try:
        kept = sum(content.get("not_dreamed", {}).values())
        asked = (counts["clips"] - kept) * (len(recipes) * config["variants"] + bool(config["include_original"])) + kept
        if counts["records"] + counts["records_lost"] != asked:
            both = f"{counts['records']} records and {counts['records_lost']} lost"
            run.problems.add("run.json", f"{both} are not the {asked} that were asked for")
    except (KeyError, TypeError, AttributeError) as error:
        run.problems.add("run.json", f"its counts or its config are not complete ({one_line(error)})")
    if tally["unreadable"]:  # what could not be read was not counted
        return
    _compare(run, "counts.originals", counts.get("originals"), tally[f"{ORIGINAL}/dreams"], "there are")
    for kind in ("dreams", "reached"):
        _compare(run, f"counts.{kind}", counts.get(kind), sum(tally[f"{name}/{kind}"] for name in recipes), "there are")
        for name, recipe in recipes.items():
            counted = isinstance(recipe, dict) and recipe.get(kind)
            _compare(run, f"recipes.{name}.{kind}", counted, tally[f"{name}/{kind}"], "there are")


def check_sources(run: Verification) -> None:
    """Each file that a record was made from exists and is unchanged."""
    total = run.notes.source_count()
    for number, (uri, record_offset, digest, kind, id_) in enumerate(run.notes.sources()):
        run.on_progress("sources", number, total)
        run.tally["sources"] += 1
        try:
            if source_sha256(uri, record_offset) != digest:
                run.problems.add(uri, f"the {kind} has changed since {id_!r} was made from it (its sha256 is another)")
        except ClipError as error:
            run.problems.add(uri, f"the {kind} of {id_!r} and perhaps others cannot be read: {error}")


CHECKS: tuple[Callable[[Verification], None], ...] = (check_files, check_records, check_failures, check_counts)
"""In their order: `check_counts` compares with what the checks before it have counted."""


def _read_failure(line: str) -> dict[str, Any] | None:
    """Read a line of failures.jsonl; None if it is not one."""
    try:
        failure = json.loads(line)
    except ValueError:
        return None
    texts = ("uri", "id", "stage", "error")
    if not isinstance(failure, dict) or not all(isinstance(failure.get(key), str) for key in texts):
        return None
    return failure if isinstance(failure.get("records_lost"), int) else None


def _compare(run: Verification, name: str, counted: Any, found: int, verb: str) -> None:
    if counted != found:
        run.problems.add("run.json", f"its {name} is {counted}, {verb} {found}")
