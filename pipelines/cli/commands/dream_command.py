"""``dreambeam dream``: one audio file in, one out."""

from __future__ import annotations

import typer
from typer import Argument, Option

from augment.recipes.tables import STARTS
from pipelines.cli import options
from pipelines.cli.quiet import start_tensorflow

START_NAMES = (*STARTS, "noise")  # noise: another name of white

app = options.new_app()


@app.command()
def dream(
    paths: list[str] | None = Argument(
        None,
        metavar="[IN] OUT",
        help="Audio file of any length ('demo' is a street recording; none with --seconds), and file to write: "
        ".wav, .flac or .ogg.",
    ),
    transform: str = options.transform("deep_dream"),
    target: str = Option("keep", help=options.TARGET, metavar="TARGET"),
    steps: int | None = Option(None, help="Most gradient steps [set by transform and start]."),
    snr: float | None = Option(None, help="Lowest SNR of the dream in dB [set by transform and start]."),
    sound: str | None = options.SOUND,
    start: str = options.choice(START_NAMES, "clip", "--start", "What the dream starts from"),
    seconds: float | None = Option(None, min=0.01, max=300, help="Dream seconds of noise or silence, not an input."),
    picture: str | None = Option(None, help="Draw spectrograms: before, the change, and after.", metavar="FILE"),
    seed: int = Option(0, help="Seed of random targets and noise."),
    model: list[str] | None = options.MODEL,
    classes: list[str] | None = options.CLASSES,
    sample_rate: int | None = options.MODEL_RATE,
    weights: str | None = options.WEIGHTS,
    set_: list[str] | None = options.SET,
    overwrite: bool = options.OVERWRITE,
    debug: bool = options.DEBUG,
) -> int:
    """Dream one audio file, or noise, and print its scores.

    The scores of the target and of the top classes are printed before and after.
    """
    source, output = _files(paths or [], seconds, start)
    from pipelines.cli import preflight

    settings = {
        "transform": transform,
        "steps": steps,
        "snr_db": snr,
        "sound": sound,
        "start": None if start == "clip" else start,
    }
    config = preflight.dream_config(settings, preflight.model_settings(model, classes, sample_rate), set_ or [])
    preflight.check_dream(source, output, picture, config, overwrite=overwrite)

    start_tensorflow()
    from pipelines.cli.runs.dream_run import run

    return run(source, output, target, config, picture, seed, weights, seconds=seconds)


def _files(given: list[str], seconds: float | None, start: str) -> tuple[str | None, str]:
    """Return the input, None for a dream of noise or silence, and the output."""
    if seconds is None:
        wanted = "IN and OUT (or --start noise --seconds 5 and OUT)"
    elif start == "clip":
        raise typer.BadParameter("--seconds takes no input: say what to start from, such as --start noise")
    else:
        wanted, given = "OUT alone", [*(given or ["dream.wav"])]
    if len(given) != (2 if seconds is None else 1):
        raise typer.BadParameter(f"expected {wanted}, got {len(given)} file names")
    return (given[0] if seconds is None else None), given[-1]
