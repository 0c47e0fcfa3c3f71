"""``dreambeam utility``: whether dreamed data makes a classifier better, on one's own recordings."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from augment.cache import cache_directory
from augment.counted import counted
from augment.models.interface import AudioModel, ModelSpec
from augment.models.model_kinds import load_model
from augment.models.weights import WeightsError
from augment.models.yamnet import load_dreaming_model
from augment.targets.classes import yamnet_classes
from evaluation.pages.utility_page import write_page
from evaluation.utility.classifiers import CLASSIFIERS
from evaluation.utility.conventional import check_library
from evaluation.utility.dream_views import YAMNET, DreamSpec
from evaluation.utility.folds import Clip, check_clips, splits
from evaluation.utility.head_attacks import SNRS, summarise_heads, try_heads
from evaluation.utility.training_sets import ARMS, CONVENTIONAL, DREAMS, Arm, Ingredient, Kitchen
from evaluation.utility.utility_study import BASELINE, DREAMED, Bench, Course, arms_for, summarise
from evaluation.utility.views import Store
from pipelines.cli.quiet import only_own_messages
from pipelines.cli.utility_clips import Data, label_classes, read_clip, read_clips
from pipelines.config.run_config import ConfigError, RunConfig, load_config

SHOTS = (2, None)


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        only: arms, none of them named for all.
        configs: files of ``dreambeam augment``, an arm each.
        classifiers: by name.
        shots: clips of each class, None for all.
        seeds: of each.
        white_box: arms whose linear heads are dreamed against through themselves.
    """

    only: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    classifiers: tuple[str, ...] = tuple(CLASSIFIERS)
    shots: tuple[int | None, ...] = SHOTS
    seeds: int = 5
    white_box: tuple[str, ...] = ()


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
    """Measure all arms that are wanted, print the tables, and write the page."""
    arms, dreams, mapped = read_arms(plan)
    for flag, folder in (("--report", report), ("--work", work)):
        if folder is not None and Path(folder).exists() and not Path(folder).is_dir():
            raise ConfigError(f"{flag}: {folder!r} is a file; name a folder")
    clips, classes, left_out = read_clips(inputs, data)
    check_clips(clips)
    labels = tuple(sorted({clip.label for clip in clips}))
    known = label_classes(labels, {**mapped, **classes})
    if any(each.what == CONVENTIONAL for arm in arms.values() for each in arm.ingredients):
        check_library()
    _check_labels([label for label in labels if label not in known], arms, dreams)
    _tell_few(clips, plan.shots)
    folder = Path(work) if work is not None else cache_directory() / "utility"
    courses = [Course(name, shots, plan.seeds) for name in plan.classifiers for shots in plan.shots]
    with only_own_messages(local=True, debug=debug):
        model = load_dreaming_model(weights)
        store = Store(clips, read_clip, model, folder / "views")
        bench = Bench(Kitchen(store, model, known, dreams, labels, strangers()), folder / "outcomes", arms)
        rows = measure(bench, courses)
        heads = attack(bench, plan.white_box)
    about = {
        "data": ", ".join(Path(each).resolve().name for each in inputs),
        "clips": len(clips),
        "left_out": left_out,
        "classes": len(labels),
        "folds": sorted({clip.fold for clip in clips}),
        "groups": len({clip.group for clip in clips}),
        "model": model.identity,
        "tests": list(bench.columns),
    }
    if report is not None:
        write_page(Path(report), rows, heads, arms, dreams, about)
    if as_json:
        print(json.dumps({**about, "white_box": heads, "rows": rows}, indent=2))
    else:
        _print(Console(), rows, heads)
    return 3 if left_out else 0


def _check_labels(missing: Sequence[str], arms: Mapping[str, Arm], dreams: Mapping[str, DreamSpec]) -> None:
    """Refuse labels that name no class, where an arm dreams toward labels."""
    for name, arm in arms.items():
        specs = [dreams[each.what] for each in arm.ingredients if each.what in dreams]
        if missing and any(spec.policy == "label" or spec.among == "labels" for spec in specs):
            raise ConfigError(
                f"label {missing[0]!r} names no class of YAMNet, and the arm {name} dreams toward it: name the classes "
                "with --class-column or in the target.labels of a --config, or choose other arms with --only"
            )


def _tell_few(clips: Sequence[Clip], shots: Sequence[int | None]) -> None:
    """Tell of numbers of clips that some class does not have in training."""
    least = min(min(Counter(clips[place].label for place in split.train).values()) for split in splits(clips))
    if many := [str(each) for each in shots if each is not None and each > least]:
        print(
            f"dreambeam: --shots {','.join(many)}: a class has {counted(least, 'clip')} to train on; what has fewer "
            "gives all of its clips",
            file=sys.stderr,
        )


def strangers() -> dict[str, AudioModel]:
    """Load what the test sets are dreamed through besides YAMNet; what is not to be had is told, and left out."""
    found: dict[str, AudioModel] = {}
    for name, spec in DREAMED.items():
        if spec.through not in (YAMNET, *found):
            try:
                found[spec.through] = load_model(ModelSpec(spec.through))
            except WeightsError as error:
                print(f"dreambeam: left out: test set {name}: {error}", file=sys.stderr)
    return found


def measure(bench: Bench, courses: Sequence[Course]) -> list[dict[str, Any]]:
    """Make all views, then train and try every arm; return the rows of `summarise`."""
    makers = list(bench.makers(courses))
    store = bench.kitchen.store
    with _Watch() as watch:
        watch.begin("views", len(makers) * len(store.clips))
        for name, maker, variant in makers:
            done = [0]

            def count(clips: int, name: str = name, variant: int = variant, done: list[int] = done) -> None:
                done[0] += clips
                watch.advance(clips, f"{name} {variant}")

            store.prepare(maker, variant, count)
            watch.advance(len(store.clips) - done[0], f"{name} {variant}")
        names = {course: arms_for(course, list(bench.arms), bench.arms) for course in courses}
        watch.begin("trials", sum(len(names[course]) * course.seeds for course in courses))
        rows = []
        for course in courses:
            found: dict[str, np.ndarray] = {}
            for arm in names[course]:
                found[arm] = bench.run(course, arm, lambda text=f"{course.name}: {arm}": watch.advance(1, text))
            rows += summarise(course, found, bench.arms, [clip.group for clip in store.clips], bench.columns)
    return rows


def attack(bench: Bench, arms: Sequence[str]) -> dict[str, Any]:
    """Dream against the linear heads of some arms; return `summarise_heads`, nothing of no arms."""
    if not arms:
        return {}
    store = bench.kitchen.store
    with _Watch() as watch:
        watch.begin("white box", (len(dict.fromkeys([BASELINE, *arms])) * len(SNRS)) * len(store.clips))
        found = try_heads(bench, arms, lambda arm, clips: watch.advance(clips, f"white box: {arm}"))
    return summarise_heads(found, [clip.group for clip in store.clips])


def read_arms(plan: Plan) -> tuple[dict[str, Arm], dict[str, DreamSpec], dict[str, str]]:
    """Return the arms that are wanted, the ways of dreaming that they use, and the classes that configs give to labels.

    Raises:
        ConfigError: there is no such arm, classifier or number, or a config cannot be an arm.
    """
    files = {Path(path).stem: path for path in plan.configs}
    taken = [path for name, path in files.items() if name in ARMS]
    if taken:
        raise ConfigError(f"--config: {taken[0]!r} is called as the arm {Path(taken[0]).stem!r}; rename the file")
    choices = (*ARMS, *files)
    for given, known, flag in (
        (plan.only, choices, "--only"),
        (plan.white_box, choices, "--white-box"),
        (plan.classifiers, tuple(CLASSIFIERS), "--classifier"),
    ):
        unknown = [name for name in given if name not in known]
        if unknown:
            raise ConfigError(f"{flag}: there is no {unknown[0]!r}; choices: {', '.join(known)}")
    if plan.seeds < 1 or any(shots is not None and shots < 1 for shots in plan.shots):
        raise ConfigError("--seeds and --shots take numbers from 1 on, --shots also all, such as --shots 2,10,all")
    names = plan.only or (() if files else tuple(ARMS))
    arms = {name: ARMS[name] for name in dict.fromkeys((BASELINE, *names, *plan.white_box)) if name in ARMS}
    dreams, mapped = dict(DREAMS), {}
    for name, path in files.items():
        config = load_config(path)
        made, ingredients = config_arm(name, config)
        dreams |= made
        mapped |= {label: str(each) for label, each in config.target.labels.items()}
        arms[name] = Arm(f"{name} (--config)", "dream", ingredients)
    return arms, dreams, mapped


def config_arm(name: str, config: RunConfig) -> tuple[dict[str, DreamSpec], tuple[Ingredient, ...]]:
    """Return the ways of dreaming of a config of ``dreambeam augment``, and the ingredients of its arm.

    Raises:
        ConfigError: it dreams in a way that an arm cannot.
    """
    targets = config.targets()
    dreams, ingredients = {}, []
    for key, recipe in config.named_recipes().items():
        target = targets[key]
        if target.policy in ("sound", "class") or target.label_policy == "none":
            what = f"target.policy {target.policy}" if target.label_policy != "none" else "target.label_policy none"
            choices = "keep, random, nearest, farthest, label or away"
            raise ConfigError(f"{name}: recipe {key}: {what} cannot be an arm; expected {choices}")
        classes = tuple(yamnet_classes().find(each).index for each in target.classes)
        if recipe.sound is not None:
            raise ConfigError(f"{name}: recipe {key} needs a target sound, which an arm has not")
        settings = recipe.model_dump(mode="json", exclude_unset=True)
        dreams[f"{name}.{key}"] = DreamSpec(settings, target.policy, "classes", config.seed, classes)
        ingredients.append(Ingredient(f"{name}.{key}", target.label_policy, config.variants))
    return dreams, tuple(ingredients)


def read_shots(text: str | None) -> tuple[int | None, ...]:
    """Read numbers of clips with commas between them; "all" is one.

    Raises:
        ConfigError: one is no number.
    """
    if text is None:
        return SHOTS
    try:
        return tuple(None if part.strip() == "all" else int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--shots is {text!r}; expected numbers and all, with commas, such as 2,10,all") from error


class _Watch(AbstractContextManager["_Watch"]):
    """A bar on a terminal, a line for each step elsewhere."""

    def __init__(self) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[what]}"),
            TimeElapsedColumn(),
        )
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
        self._said = ""

    def __enter__(self) -> _Watch:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, title: str, total: int) -> None:
        """Begin a part of the work."""
        self._task = self._bar.add_task(title, total=total, what="")

    def advance(self, count: int, what: str) -> None:
        """Tell of so much work, and what it was."""
        self._bar.update(self._task, advance=count, what=what)
        if not sys.stderr.isatty() and what != self._said:
            print(what, file=sys.stderr, flush=True)
        self._said = what


def _print(console: Console, rows: Sequence[Mapping[str, Any]], heads: Mapping[str, Any]) -> None:
    for classifier, shots in dict.fromkeys((row["classifier"], row["shots"]) for row in rows):
        amount = "all clips" if shots is None else f"{shots} clip{'s' * (shots > 1)} a class"
        title = f"{CLASSIFIERS[classifier].title}, {amount}: accuracy in % (over none; *: 0 is outside the interval)"
        mine = [row for row in rows if (row["classifier"], row["shots"]) == (classifier, shots)]
        table = Table(title=title, title_justify="left")
        table.add_column("", no_wrap=True)
        for name in mine[0]["sets"]:
            table.add_column(name, justify="right")
        for row in mine:
            table.add_row(row["arm"], *(_cell(each, row["arm"]) for each in row["sets"].values()))
        console.print(table)
    if heads:
        table = Table(title="linear heads dreamed against: accuracy in % (over none)", title_justify="left")
        for name in ("", *heads[BASELINE]):
            table.add_column(name, justify="right" if name else "left")
        for arm, each in heads.items():
            table.add_row(arm, *(_cell(column, arm) for column in each.values()))
        console.print(table)


def _cell(found: Mapping[str, Any], arm: str) -> str:
    gain, accuracy = found["gain"], found["accuracy"]["value"]
    if arm == BASELINE:
        return f"{100 * accuracy:.1f}"
    certain = "*" if gain["low"] > 0 or gain["high"] < 0 else ""
    return f"{100 * accuracy:.1f} ({100 * gain['value']:+.1f}){certain}"
