"""A run of ``dreambeam robustness`` around `evaluation.reports.robustness_report`, and its summary."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace

from rich.console import Console
from rich.table import Table

from augment.determinism import draws
from evaluation.dreams.dream_evaluator import Failed
from evaluation.reports.robustness_report import Robustness, robustness
from evaluation.robustness.perturbations import PERTURBATIONS
from evaluation.robustness.robustness_plan import Item
from evaluation.robustness.trials import BUDGETS, Settings
from pipelines.cli.ending import DONE, SOME_CLIPS_FAILED
from pipelines.cli.quiet import only_own_messages
from pipelines.cli.runs.evaluate_run import share
from pipelines.cli.runs.study_clips import SEGMENT_SECONDS, read_clip
from pipelines.cli.watch import watch_records
from pipelines.clips.clips import segments
from pipelines.clips.listing import TableNotes
from pipelines.clips.references import Failure, SoundFileRef
from pipelines.config.run_config import ConfigError
from pipelines.files.containers import ClipError
from pipelines.progress import unwatched
from pipelines.run.augmentation import is_local, pipeline_options
from pipelines.sources.folders import list_files
from pipelines.tables.columns import Columns


@dataclass(frozen=True)
class Data:
    """A table of the clips, and which of them are used.

    Attributes:
        metadata: table of labels; without it folder names are the labels.
        columns: of paths, labels and groups, which the confidence intervals are over; without it each file is a group.
            With a separator a clip has several labels.
        train: "column=value" of the clips that a head is trained on; None trains none.
        test: likewise of the clips that are attacked; None: all that are not for training.
        limit: of files that are attacked; None: all.
    """

    metadata: str | None = None
    columns: Columns = field(default_factory=Columns)
    train: str | None = None
    test: str | None = None
    limit: int | None = None


def run(
    inputs: Sequence[str], report: str, data: Data, settings: Settings, beam_args: Sequence[str], *, debug: bool
) -> int:
    """Make the report and print its curve; return 3 if some clips could not be used."""
    local = is_local(beam_args)
    command = shlex.join(["dreambeam", *sys.argv[1:]])
    notes = TableNotes()
    training, tested, lost = list_items(inputs, data, settings.seed, notes)
    with only_own_messages(local=local, debug=debug):
        options, watch = pipeline_options(beam_args), watch_records if local else unwatched
        done = robustness(
            tested, report, settings, read_clip, options, training=training, lost=lost, command=command, watch=watch
        )
    _print(Console(highlight=False, soft_wrap=True), done, notes.lines)
    return SOME_CLIPS_FAILED if done.failures else DONE


def read_budgets(text: str | None) -> tuple[float, ...]:
    """Read SNRs in dB, separated by commas.

    Raises:
        ConfigError: one is not a number.
    """
    if text is None:
        return BUDGETS
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--snr-db is {text!r}; expected numbers separated by commas, such as 40,30,20") from error


def list_items(
    inputs: Sequence[str], data: Data, seed: int, notes: TableNotes | None = None
) -> tuple[list[Item], list[Item], list[Failed]]:
    """List the clips for training, the clips for the attacks, and what cannot be used.

    Raises:
        ConfigError: the training clips and the tested ones overlap, or there are none.
        SourceError: nothing can be read there.
    """
    column, train, test = _parts(data)
    lost, training, tested = [], [], []
    values: set[str] = set()
    columns = replace(data.columns, split=column)
    for file in list_files(inputs, metadata=data.metadata, columns=columns, notes=notes):
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
        raise ConfigError(f"{', '.join(inputs)}: no file is left to attack the classifier with")
    mixed = sorted(tested, key=lambda file: (draws.draw(seed, file.id, 0, "limit"), file.id))[: data.limit]
    return _cut(training, data.columns.separator, lost), _cut(mixed, data.columns.separator, lost), lost


def _parts(data: Data) -> tuple[str | None, str | None, str | None]:
    """Read --train and --test: the column, and the values."""
    found: dict[str, tuple[str, str] | None] = {}
    for name, given in (("--train", data.train), ("--test", data.test)):
        column, sign, value = (given or "").partition("=")
        if given is not None and not (column and sign and value):
            raise ConfigError(f"{name} is {given!r}; expected a column of the metadata and its value, such as fold=1")
        found[name] = (column, value) if given is not None else None
    if data.metadata is None and (any(found.values()) or data.columns.groups):
        raise ConfigError("--train, --test and --group-column name a column of a table: give it with --metadata")
    named = [each for each in found.values() if each]
    if len({column for column, _ in named}) > 1:
        raise ConfigError(f"--train and --test name different columns ({data.train}, {data.test}); expected the same")
    if len(named) == 2 and named[0] == named[1]:
        raise ConfigError(f"--train and --test are both {data.train}: a head needs other clips for its test")
    if data.train is not None and data.columns.separator is not None:
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


def _print(console: Console, done: Robustness, notes: Sequence[str]) -> None:
    metrics = done.metrics
    what = "mean average precision" if metrics["metric"] == "map" else "accuracy"
    head = f"{metrics['judge']} on {metrics['n_clips']} clips: {what} {share(metrics['clean'])}"
    if trained := metrics["judge_details"]["trained"]:
        head += f", trained on {trained['clips']} others"
    console.print(head, markup=False)
    budgets = sorted({point.snr_db for point in done.points}, reverse=True)
    table = Table(title=f"{what} by SNR in dB (intervals: curve.csv)", title_justify="left")
    table.add_column("", no_wrap=True)
    for snr in budgets:
        table.add_column(f"{snr:g}", justify="right")
    table.add_column("halved at", justify="right", no_wrap=True)
    points = {(each["perturbation"], each["snr_db"]): each["accuracy"] for each in metrics["curve"]}
    for name, halved in metrics["halving"].items():
        accuracies = [points.get((name, snr)) for snr in budgets]
        cells = ["-" if accuracy is None else f"{accuracy:.0%}" for accuracy in accuracies]
        table.add_row(PERTURBATIONS[name].title, *cells, _HALVED[halved["at"]](halved["snr_db"], budgets))
    console.print(table)
    console.print("All checks of the report passed." if metrics["trusted"] else "Some checks of the report failed:")
    for note in [*metrics["warnings"], *notes]:
        console.print(f"  note: {note}", markup=False)
    names = ["report.html", "metrics.json", "robustness.parquet", "curve.csv", "robustness.png"]
    names += ["head.npz"] if trained else []
    console.print(f"{done.folder}: {', '.join(names)}", markup=False)


_HALVED: dict[str, Callable[[float | None, Sequence[float]], str]] = {
    "within": lambda snr, budgets: f"{snr:.1f} dB",
    "above": lambda snr, budgets: f"> {budgets[0]:g} dB",
    "not reached": lambda snr, budgets: "-",
}
