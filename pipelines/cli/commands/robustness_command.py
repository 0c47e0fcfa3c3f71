"""``dreambeam robustness``: how well a classifier withstands dreams, next to noise at the same SNR."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from augment.determinism import draws
from evaluation.dreams.dream_evaluator import Failed
from evaluation.dreams.originals import MissingSourceError
from evaluation.reports.robustness_report import Robustness, robustness
from evaluation.robustness.attacks import Item
from evaluation.robustness.perturbations import PERTURBATIONS
from evaluation.robustness.trials import BUDGETS, Settings
from pipelines.cli.options import beam_arguments, split_flags
from pipelines.cli.quiet import only_own_messages
from pipelines.cli.watch import watch_records
from pipelines.clips.clips import decode, segments
from pipelines.clips.references import ClipRef, Failure, SoundFileRef
from pipelines.config.run_config import ConfigError
from pipelines.files.containers import ClipError
from pipelines.progress import unwatched
from pipelines.run.augmentation import is_local, pipeline_options
from pipelines.sources.folders import list_files
from pipelines.sources.metadata import Columns

SEGMENT_SECONDS = 10.0
"""Longer files are cut into clips of so many seconds."""


@dataclass(frozen=True)
class Data:
    """Where the clips come from.

    Attributes:
        metadata: CSV of labels.
        path_column: as in `pipelines.sources.metadata.Columns`.
        label_column: likewise.
        separator: parts the labels of a clip; None takes each as one label.
        train: "column=value" of the clips that a head is trained on, None trains none.
        test: the same of those that are tried; None tries all that are not for training.
        group_column: of what was recorded together, such as the takes of one recording: intervals are drawn over these;
            None takes each file for itself.
        limit: of files that are tried, None for all.
    """

    metadata: str | None = None
    path_column: str | None = None
    label_column: str | None = None
    separator: str | None = None
    train: str | None = None
    test: str | None = None
    group_column: str | None = None
    limit: int | None = None


def run(given: Sequence[str], report: str, data: Data, settings: Settings, *, debug: bool) -> int:
    """Make the report, print its curve and say where it is; return 3 if some clips could not be used.

    Args:
        given: files, folders and globs, with Beam's flags among them or after them.
        report: folder.
        data: what of them is used, and for what.
        settings: how the classifier is tried.
        debug: show Beam's own messages.
    """
    inputs, extra = split_flags(given)
    beam_args = beam_arguments(extra, "robustness")
    if not inputs:
        raise ConfigError("expected recordings: give files, folders or globs")
    local = is_local(beam_args)
    command = shlex.join(["dreambeam", *sys.argv[1:]])
    training, tested, lost = list_items(inputs, data, settings.seed)
    with only_own_messages(local=local, debug=debug):
        options, watch = pipeline_options(beam_args), watch_records if local else unwatched
        done = robustness(
            tested, report, settings, read_item, options, training=training, lost=lost, command=command, watch=watch
        )
    _print(Console(highlight=False, soft_wrap=True), done)
    return 3 if done.failures else 0


def read_item(where: Mapping[str, Any]) -> tuple[np.ndarray, int]:
    """Read a clip: float32 [samples, channels], and its sample rate in Hz.

    Raises:
        MissingSourceError: it cannot be read.
    """
    try:
        clip = decode(ClipRef(**where))
    except ClipError as error:
        raise MissingSourceError(str(error)) from error
    return clip.waveform, clip.ref.sample_rate


def list_items(inputs: Sequence[str], data: Data, seed: int) -> tuple[list[Item], list[Item], list[Failed]]:
    """List clips for training, clips to be tried, and what cannot be used.

    Raises:
        ConfigError: the training clips and the tested ones are not told apart, or there are none.
        SourceError: nothing can be read there.
    """
    column, train, test = _parts(data)
    columns = Columns(
        path=data.path_column,
        label=data.label_column,
        split=column,
        groups=() if data.group_column is None else (data.group_column,),
        separator=data.separator,
    )
    lost, training, tested = [], [], []
    values: set[str] = set()
    for file in list_files(inputs, metadata=data.metadata, columns=columns):
        if isinstance(file, Failure):
            lost.append(Failed(file.id, file.stage, file.error))
        elif not file.labels:
            lost.append(Failed(file.id, "label", f"{file.id!r} has no label: give --metadata, or a folder for each"))
        else:
            values.add(file.split)
            (training if train == file.split else tested if test in (None, file.split) else []).append(file)
    for name, wanted, found in (("--train", train, training), ("--test", test, tested)):
        if wanted is not None and not found:
            there = ", ".join(sorted(values)) or "nothing"
            raise ConfigError(f"{name}: no file has {wanted!r} in column {column!r}; it has {there}")
    if not tested:
        raise ConfigError(f"{', '.join(inputs)}: no file is left to try the classifier on")
    mixed = sorted(tested, key=lambda file: (draws.draw(seed, file.id, 0, "limit"), file.id))[: data.limit]
    return _cut(training, data.separator, lost), _cut(mixed, data.separator, lost), lost


def _parts(data: Data) -> tuple[str | None, str | None, str | None]:
    """Read --train and --test: the column, and the values."""
    found: dict[str, tuple[str, str] | None] = {}
    for name, given in (("--train", data.train), ("--test", data.test)):
        column, sign, value = (given or "").partition("=")
        if given is not None and not (column and sign and value):
            raise ConfigError(f"{name} is {given!r}; expected a column of the metadata and its value, such as fold=1")
        found[name] = (column, value) if given is not None else None
    if data.metadata is None and (any(found.values()) or data.group_column is not None):
        raise ConfigError("--train, --test and --group-column name a column of a CSV: give it with --metadata")
    named = [each for each in found.values() if each]
    if len({column for column, _ in named}) > 1:
        raise ConfigError(f"--train and --test name different columns ({data.train}, {data.test}); expected the same")
    if len(named) == 2 and named[0] == named[1]:
        raise ConfigError(
            f"--train and --test are both {data.train}: a head must be tried on what it was not trained on"
        )
    if data.train is not None and data.separator is not None:
        raise ConfigError("--label-separator: a head is trained on one label for each clip; try a judge of your own")
    train, test = found["--train"], found["--test"]
    return named[0][0] if named else None, train and train[1], test and test[1]


def _cut(files: Sequence[SoundFileRef], separator: str | None, lost: list[Failed]) -> list[Item]:
    items = []
    for file in files:
        try:
            cut = segments(file, segment_seconds=SEGMENT_SECONDS)
        except ClipError as error:
            lost.append(Failed(file.id, error.stage, str(error)))
            continue
        labels = file.labels[:1] if separator is None else file.labels
        source = next((value for _, value in file.groups if value), file.id)
        items += [Item(ref.id, source, file.uri, labels, asdict(ref)) for ref in cut]
    return items


def read_budgets(text: str | None) -> tuple[float, ...]:
    """Read SNRs with commas between them.

    Raises:
        ConfigError: one is no number.
    """
    if text is None:
        return BUDGETS
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(
            f"--snr-db is {text!r}; expected numbers with commas between them, such as 40,30,20"
        ) from error


def _print(console: Console, done: Robustness) -> None:
    metrics = done.metrics
    what = "mean average precision" if metrics["metric"] == "map" else "accuracy"
    head = f"{metrics['judge']} on {metrics['n_clips']} clips: {what} {_share(metrics['clean'])}"
    if trained := metrics["judge_details"]["trained"]:
        head += f", trained on {trained['clips']} others"
    console.print(head, markup=False)
    budgets = sorted({point.snr_db for point in done.points}, reverse=True)
    table = Table(title=f"{what} by SNR in dB (intervals: curve.csv)", title_justify="left")
    table.add_column("", no_wrap=True)
    for snr in budgets:
        table.add_column(f"{snr:g}", justify="right")
    table.add_column("halved at", justify="right", no_wrap=True)
    by_key: Mapping[Any, Mapping[str, Any]] = {
        (each["perturbation"], each["snr_db"]): each for each in metrics["curve"]
    }
    for name, halved in metrics["halving"].items():
        cells = [_point(by_key.get((name, snr))) for snr in budgets]
        table.add_row(PERTURBATIONS[name].title, *cells, _HALVED[halved["at"]](halved["snr_db"], budgets))
    console.print(table)
    console.print("The report trusts itself." if metrics["trusted"] else "The report does not trust itself:")
    for warning in metrics["warnings"]:
        console.print(f"  note: {warning}", markup=False)
    names = ["report.html", "metrics.json", "robustness.parquet", "curve.csv", "robustness.png"]
    names += ["head.npz"] if trained else []
    console.print(f"{done.folder}: {', '.join(names)}", markup=False)


def _share(found: Mapping[str, Any]) -> str:
    ends = "" if found["low"] is None else f" ({found['low']:.0%}-{found['high']:.0%})"
    return "-" if found["value"] is None else f"{found['value']:.1%}{ends}"


def _point(found: Mapping[str, Any] | None) -> str:
    return "-" if found is None or found["accuracy"] is None else f"{found['accuracy']:.0%}"


_HALVED: dict[str, Callable[[float | None, Sequence[float]], str]] = {
    "within": lambda snr, budgets: f"{snr:.1f} dB",
    "above": lambda snr, budgets: f"> {budgets[0]:g} dB",
    "not reached": lambda snr, budgets: "-",
}
