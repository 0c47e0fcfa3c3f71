"""``dreambeam utility``: whether dreamed data makes a classifier better, on one's own recordings."""

from __future__ import annotations

from typer import Argument, Option

from pipelines.cli import options
from pipelines.cli.quiet import start_tensorflow

app = options.new_app()


@app.command()
def utility(
    data: list[str] = Argument(..., metavar="DATA...", help="Recordings: files, folders or globs."),
    metadata: str = Option(..., help="Table of labels and folds, with a row for each file.", metavar="FILE"),
    fold_column: str = Option("fold", help="Column of folds.", metavar="NAME"),
    group_column: str | None = Option(
        None, help="Column of groups, such as original recordings [each file].", metavar="NAME"
    ),
    class_column: str | None = Option(
        None, help="Column of the label's YAMNet class [the label's name].", metavar="NAME"
    ),
    path_column: str | None = options.PATH_COLUMN,
    label_column: str | None = options.LABEL_COLUMN,
    config: list[str] | None = Option(
        None,
        "--config",
        "-c",
        help="Config of dreambeam augment, as a further arm with the file's name. May be repeated.",
        metavar="FILE",
    ),
    only: list[str] | None = Option(None, help="Arms by name [all]. May be repeated.", metavar="ARM"),
    classifier: list[str] | None = Option(None, help="linear, mlp or cnn [all]. May be repeated.", metavar="NAME"),
    shots: str | None = Option(None, help="Training clips of a class, such as 1,2,5,10,all [2,all].", metavar="LIST"),
    seeds: int = Option(5, min=1, help="Repetitions with other training clips and initial weights."),
    white_box: list[str] | None = Option(
        None, "--white-box", help="Also attack this arm's linear head through itself. May be repeated.", metavar="ARM"
    ),
    report: str | None = Option(None, help="Folder for utility.md and utility.json.", metavar="DIR"),
    work: str | None = Option(None, help="Folder of finished work; a later run reuses it [the cache].", metavar="DIR"),
    as_json: bool = options.AS_JSON,
    weights: str | None = options.WEIGHTS,
    debug: bool = options.DEBUG,
) -> int:
    """Train classifiers with and without dreams and compare.

    This takes an hour or two.
    """
    from pipelines.cli import preflight

    preflight.check_recordings(data, metadata)
    for flag, folder in (("--report", report), ("--work", work)):
        preflight.check_folder(flag, folder)

    start_tensorflow()
    from evaluation.utility.classifiers import CLASSIFIERS
    from pipelines.cli.runs.utility_arms import Plan, read_shots
    from pipelines.cli.runs.utility_clips import Data
    from pipelines.cli.runs.utility_run import run
    from pipelines.tables.columns import Columns

    columns = Columns(path=path_column, label=label_column)
    table = Data(metadata, columns, fold_column, group_column, class_column)
    chosen = tuple(classifier or CLASSIFIERS)
    plan = Plan(tuple(only or ()), tuple(config or ()), chosen, read_shots(shots), seeds, tuple(white_box or ()))
    return run(data, table, plan, report, work, weights, as_json, debug=debug)
