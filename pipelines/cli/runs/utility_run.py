"""A run of ``dreambeam utility`` around `evaluation.utility`, and its tables."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from augment.cache import cache_directory
from augment.counted import counted
from augment.models.interface import AudioModel, ModelSpec
from augment.models.model_kinds import load_model
from augment.models.weights import WeightsError
from augment.models.yamnet import load_dreaming_model
from evaluation.pages.utility_page import write_page
from evaluation.utility.classifiers import CLASSIFIERS
from evaluation.utility.conventional import check_library
from evaluation.utility.dream_views import YAMNET
from evaluation.utility.folds import Clip, check_clips, splits
from evaluation.utility.head_attacks import SNRS, attack_heads, summarise_heads
from evaluation.utility.training_sets import CONVENTIONAL, StudyData
from evaluation.utility.utility_study import BASELINE, DREAMED, Condition, Study, summarise
from evaluation.utility.views import ViewStore
from pipelines.cli.ending import DONE, SOME_CLIPS_FAILED, complain
from pipelines.cli.quiet import only_own_messages
from pipelines.cli.runs.study_clips import read_clip
from pipelines.cli.runs.utility_arms import Plan, check_labels, read_arms
from pipelines.cli.runs.utility_clips import Data, label_classes, read_clips
from pipelines.cli.watch import bar
from pipelines.clips.listing import TableNotes


def run(
    inputs: Sequence[str],
    data: Data,
    plan: Plan,
    report: str | None,
    work: str | None,
    weights: str | None,
    as_json: bool,
    *,
    debug: bool,
) -> int:
    """Measure the wanted arms, print the tables, and write the page; return 3 if some files were left out."""
    arms, dreams, mapped = read_arms(plan)
    notes = TableNotes()
    clips, classes, left_out = read_clips(inputs, data, notes)
    check_clips(clips)
    labels = tuple(sorted({clip.label for clip in clips}))
    known = label_classes(labels, {**mapped, **classes})
    if any(each.what == CONVENTIONAL for arm in arms.values() for each in arm.components):
        check_library()
    check_labels([label for label in labels if label not in known], arms, dreams)
    for note in notes.lines:
        complain(note)
    _warn_of_few(clips, plan.shots)
    folder = Path(work) if work is not None else cache_directory() / "utility"
    conditions = [Condition(name, shots, plan.seeds) for name in plan.classifiers for shots in plan.shots]
    with only_own_messages(local=True, debug=debug):
        model = load_dreaming_model(weights)
        store = ViewStore(clips, read_clip, model, folder / "views")
        study = Study(StudyData(store, model, known, dreams, labels, transfer_models()), folder / "outcomes", arms)
        rows = _measure(study, conditions)
        heads = _attack(study, plan.white_box)
    about = {
        "data": ", ".join(Path(each).resolve().name for each in inputs),
        "clips": len(clips),
        "left_out": left_out,
        "classes": len(labels),
        "folds": sorted({clip.fold for clip in clips}),
        "groups": len({clip.group for clip in clips}),
        "model": model.identity,
        "tests": list(study.columns),
    }
    if report is not None:
        write_page(Path(report), rows, heads, arms, dreams, about)
    if as_json:
        print(json.dumps({**about, "white_box": heads, "rows": rows}, indent=2))
    else:
        _print(Console(), rows, heads)
    return SOME_CLIPS_FAILED if left_out else DONE


def _warn_of_few(clips: Sequence[Clip], shots: Sequence[int | None]) -> None:
    """Warn of numbers of training clips that some class does not have."""
    least = min(min(Counter(clips[place].label for place in split.train).values()) for split in splits(clips))
    if many := [str(each) for each in shots if each is not None and each > least]:
        complain(
            f"--shots {','.join(many)}: a class has {counted(least, 'clip')} to train on; a smaller class gives all of "
            "its clips"
        )


def transfer_models() -> dict[str, AudioModel]:
    """Load the models besides YAMNet that test sets are dreamed through; one that cannot be loaded is left out."""
    found: dict[str, AudioModel] = {}
    for name, spec in DREAMED.items():
        if spec.through not in (YAMNET, *found):
            try:
                found[spec.through] = load_model(ModelSpec(spec.through))
            except WeightsError as error:
                complain(f"left out: test set {name}: {error}")
    return found


def _measure(study: Study, conditions: Sequence[Condition]) -> list[dict[str, Any]]:
    """Compute all views, then train and test every arm; return the rows of `summarise`."""
    makers = list(study.makers(conditions))
    store = study.data.store
    with _progress("views", len(makers) * len(store.clips)) as advance:
        for name, maker, variant in makers:
            done = 0

            def count(clips: int, text: str = f"{name} {variant}") -> None:
                nonlocal done
                done += clips
                advance(clips, text)

            store.prepare(maker, variant, count)
            count(len(store.clips) - done)
    names = {condition: condition.sets(list(study.sets), study.sets) for condition in conditions}
    groups = [clip.group for clip in store.clips]
    rows = []
    with _progress("trials", sum(len(names[condition]) * condition.seeds for condition in conditions)) as advance:
        for condition in conditions:
            found: dict[str, np.ndarray] = {}
            for arm in names[condition]:
                found[arm] = study.run(condition, arm, lambda text=f"{condition.name}: {arm}": advance(1, text))
            rows += summarise(condition, found, study.sets, groups, study.columns)
    return rows


def _attack(study: Study, arms: Sequence[str]) -> dict[str, Any]:
    """Attack the linear heads of some arms; return `summarise_heads`, or nothing without arms."""
    if not arms:
        return {}
    clips = study.data.store.clips
    with _progress("white box", len({BASELINE, *arms}) * len(SNRS) * len(clips)) as advance:
        found = attack_heads(study, arms, lambda arm, count: advance(count, f"white box: {arm}"))
    return summarise_heads(found, [clip.group for clip in clips])


@contextmanager
def _progress(title: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """Show a bar on a terminal, elsewhere a line for each new step; yield a function of a count and the step's name."""
    last = ""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[step]}"), TimeElapsedColumn())
    with bar(*columns) as shown:
        task = shown.add_task(title, total=total, step="")

        def advance(count: int, step: str) -> None:
            nonlocal last
            shown.update(task, advance=count, step=step)
            if not sys.stderr.isatty() and step != last:
                print(step, file=sys.stderr, flush=True)
            last = step

        yield advance


def _print(console: Console, rows: Sequence[Mapping[str, Any]], heads: Mapping[str, Any]) -> None:
    for classifier, shots in dict.fromkeys((row["classifier"], row["shots"]) for row in rows):
        amount = "all clips" if shots is None else f"{shots} clip{'s' * (shots > 1)} a class"
        title = f"{CLASSIFIERS[classifier].title}, {amount}: accuracy in % (over none; *: 0 is outside the interval)"
        sets = {row["arm"]: row["sets"] for row in rows if (row["classifier"], row["shots"]) == (classifier, shots)}
        console.print(_table(title, sets))
    if heads:
        console.print(_table("linear heads dreamed against: accuracy in % (over none)", heads))


def _table(title: str, arms: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return a table with a row for each arm and a column for each of its figures."""
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for name in next(iter(arms.values())):
        table.add_column(name, justify="right")
    for arm, figures in arms.items():
        table.add_row(arm, *(_cell(each, arm) for each in figures.values()))
    return table


def _cell(found: Mapping[str, Any], arm: str) -> str:
    gain, accuracy = found["gain"], found["accuracy"]["value"]
    if arm == BASELINE:
        return f"{100 * accuracy:.1f}"
    certain = "*" if gain["low"] > 0 or gain["high"] < 0 else ""
    return f"{100 * accuracy:.1f} ({100 * gain['value']:+.1f}){certain}"
