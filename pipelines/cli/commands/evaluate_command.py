"""``dreambeam evaluate``: what the dreams changed, by the scores of a judge."""

from __future__ import annotations

import typer
from typer import Argument, Option

from pipelines.cli import options
from pipelines.cli.quiet import start_tensorflow

app = options.new_app()


@app.command(context_settings=options.BEAM)
def evaluate(
    context: typer.Context,
    datasets: list[str] = Argument(..., metavar="DATASET_DIR...", help="Datasets that dreambeam augment wrote."),
    report: str = Option(..., help="Folder for report.html and metrics.json.", metavar="DIR"),
    judge: str = options.JUDGE,
    classes: str | None = options.JUDGE_CLASSES,
    sample_rate: int | None = options.JUDGE_RATE,
    judge_input: options.JudgeInput = options.JUDGE_INPUT,
    class_map: str | None = Option(
        None, help="CSV (name,class): the judge's class of each label and YAMNet class.", metavar="FILE"
    ),
    weights: str | None = options.WEIGHTS,
    debug: bool = options.DEBUG,
) -> int:
    """Classify a dataset's outputs again and report.

    Every output is classified by the judge from its audio; stored scores are ignored. Several datasets are compared.

    Flags that are not listed here go to Beam, such as --direct_num_workers=2 --direct_running_mode=multi_processing.
    """
    from pipelines.cli import preflight
    from pipelines.cli.beam_flags import beam_arguments, split_flags
    from pipelines.config.run_config import ConfigError
    from pipelines.dataset.reader import check_records

    paths, extra = split_flags([*datasets, *context.args])
    for path in paths:
        check_records(path)
    preflight.check_folder("--report", report)

    start_tensorflow()
    beam_args = beam_arguments(extra, context.command)
    if not paths:
        raise ConfigError("expected a dataset: give a folder that dreambeam augment wrote")
    from evaluation.judges.judge import JudgeSpec
    from pipelines.cli.runs.evaluate_run import run

    spec = JudgeSpec(judge, classes, sample_rate, judge_input, weights)
    return run(paths, report, spec, class_map, beam_args, debug=debug)
