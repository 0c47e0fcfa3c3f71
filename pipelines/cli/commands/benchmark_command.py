"""``dreambeam benchmark``: how fast this machine is, or how well dreams reach their targets."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import typer
from typer import Argument, Option

from pipelines.cli import options
from pipelines.cli.quiet import start_tensorflow

app = options.new_app()


@app.command()
def benchmark(
    context: typer.Context,
    what: Literal["speed", "instructions", "steering"] = Argument(
        "speed",
        metavar="WHAT",
        help="speed: of each part and of the whole pipeline; instructions: speed with each kind of vector "
        "instructions; steering: how many dreams reach their targets (an hour or two).",
    ),
    data: str | None = Option(None, help="For steering and --against: folder of recordings.", metavar="DIR"),
    pairs: int = Option(300, min=1, help="For steering: pairs of a clip and a target."),
    only: list[str] | None = Option(
        None, help="For steering: rows of the table [all]. May be repeated.", metavar="ROW"
    ),
    report: str | None = Option(None, help="Folder for a page, its figures and steering's picture.", metavar="DIR"),
    as_json: bool = options.AS_JSON,
    rounds: int | None = Option(None, min=1, max=100, help="For speed and instructions: rounds [5; --quick 2]."),
    quick: bool = Option(False, "--quick", help="For speed: only the main figures, in under two minutes."),
    against: Literal["naive"] | None = Option(None, help="For speed: dream the same clips by a plain loop, too."),
    clips: int = Option(64, min=1, help="For speed: files of the pipeline, or clips of --against."),
    steps: list[int] | None = Option(None, min=1, help="For --against: gradient steps [20 and 60]. May be repeated."),
    seed: int = Option(0, help="For steering: seed of the targets."),
    weights: str | None = options.WEIGHTS,
    debug: bool = options.DEBUG,
) -> int:
    """Measure speed, or how well dreams reach targets.

    A measurement of speed prints at its start how long it will take.
    """
    sources = {name: context.get_parameter_source(name) for name in context.params}
    _check_options([name for name, source in sources.items() if source and source.name == "COMMANDLINE"], what, against)
    from pipelines.cli import preflight

    if what == "steering" and data is None:
        raise typer.BadParameter("steering needs recordings: --data DIR")
    if data is not None:
        preflight.check_recordings([data])
    preflight.check_folder("--report", report)

    start_tensorflow()
    if what == "steering":
        from pipelines.cli.runs import steering_run

        return steering_run.run(str(data), pairs, only or [], report, as_json, seed, weights)

    from pipelines.cli.runs import speed_run

    chosen = rounds or (2 if quick else 5)
    if what == "instructions":
        rows = speed_run.instructions(chosen, weights, debug=debug)
    elif against:
        rows = speed_run.against_naive(data, clips, steps or [20, 60], weights)
    else:
        rows = speed_run.whole(chosen, clips, weights, quick=quick)
    return speed_run.show(rows, report, as_json=as_json)


_OPTIONS = {
    "speed": ("rounds", "clips", "quick"),
    "instructions": ("rounds",),
    "speed --against naive": ("against", "data", "clips", "steps"),
    "steering": ("data", "pairs", "only", "seed"),
}
"""Options by the benchmarks that use them; every benchmark uses the options that are not listed."""


def _check_options(given: Collection[str], what: str, against: str | None) -> None:
    """Refuse options that the chosen benchmark does not use.

    Raises:
        ConfigError: it names the benchmarks that use the option.
    """
    from pipelines.config.run_config import ConfigError

    chosen = f"{what} --against {against}" if what == "speed" and against else what
    for name in sorted(given):
        users = [benchmark for benchmark, names in _OPTIONS.items() if name in names]
        if users and chosen not in users:
            others = " and ".join(f"dreambeam benchmark {benchmark}" for benchmark in users)
            where = f"{others}, not to dreambeam benchmark {chosen}"
            raise ConfigError(f"--{name} belongs to {where}: leave it out, or run that")
