"""``dreambeam robustness``: how well a classifier withstands dreams, beside noise at the same SNR."""

from __future__ import annotations

import typer
from typer import Argument, Option

from pipelines.cli import options
from pipelines.cli.quiet import start_tensorflow

app = options.new_app()


@app.command(context_settings=options.BEAM)
def robustness(
    context: typer.Context,
    data: list[str] = Argument(..., metavar="DATA...", help="Recordings: files, folders or globs."),
    report: str = Option(..., help="Folder for report.html and metrics.json.", metavar="DIR"),
    metadata: str | None = Option(
        None, help="Table with a row for each file [labels are folder names].", metavar="FILE"
    ),
    path_column: str | None = options.PATH_COLUMN,
    label_column: str | None = options.LABEL_COLUMN,
    label_separator: str | None = Option(
        None, help="Text between a clip's labels; the metric is then mAP.", metavar="TEXT"
    ),
    group_column: str | None = Option(
        None,
        help="Column of groups, such as the recording that clips were cut from. Confidence intervals are over "
        "groups [each file].",
        metavar="NAME",
    ),
    train: str | None = Option(
        None, help="Train a linear head on YAMNet with clips, such as fold=1.", metavar="COLUMN=VALUE"
    ),
    test: str | None = Option(None, help="Attack these clips [all others].", metavar="COLUMN=VALUE"),
    judge: str = options.JUDGE,
    classes: str | None = options.JUDGE_CLASSES,
    sample_rate: int | None = options.JUDGE_RATE,
    judge_input: options.JudgeInput = options.JUDGE_INPUT,
    class_map: str | None = Option(None, help="CSV (name,class): the judge's class of each label.", metavar="FILE"),
    yamnet_map: str | None = Option(None, help="CSV (name,class): YAMNet's class of each label.", metavar="FILE"),
    through: str = Option(
        "auto",
        help="Model that the attack dreams through: judge (it must have a gradient), yamnet (a transfer attack), "
        "or both. auto: judge, and yamnet too if the judge is another model.",
        metavar="NAME",
    ),
    snr_db: str | None = Option(None, "--snr-db", help="Budgets in dB [40,35,30,25,20,15,10].", metavar="LIST"),
    untargeted: bool | None = Option(None, "--untargeted/--targeted", help="Only attacks of this kind [both]."),
    steps: int = Option(20, min=1, help="Most gradient steps of an attack."),
    limit: int | None = Option(None, min=1, help="Attack this many files, chosen by the seed [all]."),
    seed: int = Option(0, help="Seed of targets, noise and the choice of files."),
    weights: str | None = options.WEIGHTS,
    debug: bool = options.DEBUG,
) -> int:
    """Attack a classifier with dreams, and report its accuracy.

    The report shows accuracy against SNR under dreams, beside noise and filters at the same SNR. Attacks dream through
    the classifier itself if it is YAMNet, a head on YAMNet, crnn, or a SavedModel or Keras model with a gradient. A
    function is attacked only through YAMNet.

    Flags that are not listed here go to Beam, such as --direct_num_workers=2 --direct_running_mode=multi_processing.
    """
    from pipelines.cli import preflight
    from pipelines.cli.beam_flags import beam_arguments, split_flags
    from pipelines.config.run_config import ConfigError

    paths, extra = split_flags([*data, *context.args])
    preflight.check_recordings(paths, metadata)
    preflight.check_folder("--report", report)

    start_tensorflow()
    beam_args = beam_arguments(extra, context.command)
    if not paths:
        raise ConfigError("expected recordings: give files, folders or globs")
    from evaluation.judges.judge import JudgeSpec
    from evaluation.robustness.trials import Settings
    from pipelines.cli.runs.robustness_run import Data, read_budgets, run
    from pipelines.tables.columns import Columns

    settings = Settings(
        judge=JudgeSpec(judge, classes, sample_rate, judge_input, weights),
        class_map=class_map,
        yamnet_map=yamnet_map,
        through=through,
        targeted=untargeted is not True,
        untargeted=untargeted is not False,
        budgets=read_budgets(snr_db),
        steps=steps,
        seed=seed,
        multi_label=label_separator is not None,
    )
    groups = () if group_column is None else (group_column,)
    columns = Columns(path=path_column, label=label_column, groups=groups, separator=label_separator)
    clips = Data(metadata, columns, train, test, limit)
    return run(paths, report, clips, settings, beam_args, debug=debug)
