"""``dreambeam plan``: the time and room that a run on a cluster takes, by arithmetic."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from typer import Option

from pipelines.cli import options
from pipelines.cli.ending import DONE

if TYPE_CHECKING:
    from pipelines.benchmark.planning import Plan

WORKERS = (10, 100, 1000)
"""Numbers of workers that are compared."""

_UNITS = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))

app = options.new_app()


@app.command()
def plan(
    clips: float = Option(..., help="Number of clips, such as 2e6."),
    seconds: float = Option(10.0, help="Length of a clip in seconds."),
    steps: int = Option(20, help="Gradient steps of a dream."),
    workers: int = Option(1, help="Number of worker processes."),
    cores: int = Option(2, help="Cores of a worker."),
    dreams: int = Option(1, help="Dreams of a clip: recipes times variants."),
    sample_rate: int = Option(16_000, help="Sample rate of the clips in Hz."),
    audio_encoding: options.Encoding = Option("float32", help="Stored samples."),
    batch_size: int = Option(32, help="Largest number of clips in one gradient step."),
    rate: list[str] | None = Option(
        None,
        help="A rate measured on your machines, such as steps=60 or shared_write=5e9. May be repeated.",
        metavar="NAME=VALUE",
    ),
    core_hour: float | None = Option(None, help="Price of one core for an hour."),
    as_json: bool = options.AS_JSON,
    debug: bool = options.DEBUG,
) -> int:
    """Estimate a cluster run's time, and find its bottleneck.

    docs/planning.md explains the arithmetic.
    """
    from rich.console import Console

    from pipelines.benchmark import planning

    job = planning.Job(
        planning.whole(clips),
        seconds,
        steps,
        workers,
        cores,
        dreams,
        sample_rate=sample_rate,
        encoding=audio_encoding,
        batch_size=batch_size,
    )
    rates = planning.rates(rate or [])
    made = planning.plan(job, rates)
    others = [planning.plan(dataclasses.replace(job, workers=count), rates) for count in WORKERS]
    price = None if core_hour is None else planning.cost(made, core_hour=core_hour)
    if as_json:
        cost = {} if price is None else {"cost": price}
        print(json.dumps(_as_json(made) | cost | {"at": [_as_json(each) for each in others]}, indent=2))
        return DONE
    lines = [
        (
            f"{job.clips} clips of {job.seconds:g} s, {job.dreams} dreams of each in {job.steps} steps, "
            f"on {job.workers} workers of {job.cores} cores: {duration(made.seconds)}, {made.efficiency:.0%} of it "
            "dreaming"
        )
    ]
    for part in made.parts:
        mark = ": the bottleneck" if part is made.bottleneck else ""
        lines.append(f"  {part.name:<26}{duration(part.seconds):>10}  {part.limit}{mark}")
    paid = core_time(made.seconds / 3600 * job.workers * job.cores)
    lines += [
        (
            f"  {made.files} files of {job.clips} clips; {made.records} records in {made.shards} shards, "
            f"{size(made.output_bytes)}; unfinished work takes up to {size(made.scratch_bytes)}"
        ),
        (
            f"  {size(made.moved_bytes)} read and written, {size(made.shuffled_bytes)} shuffled; "
            f"{size(made.memory_bytes)} of memory for each worker"
        ),
        f"  {core_time(made.core_hours)} of work, {paid} paid for"
        + ("" if price is None else f": {money(price)} at {core_hour:g} a core-hour"),
    ]
    for each in others:
        slowest = each.bottleneck
        lines.append(
            f"  with {each.job.workers} workers: {duration(each.seconds)}, {each.efficiency:.0%} dreaming; longest: "
            f"{slowest.name} ({slowest.limit}), {duration(slowest.seconds)}"
        )
    Console(highlight=False, soft_wrap=True).print("\n".join(lines), markup=False)
    return DONE


def duration(seconds: float) -> str:
    """Return a time in the unit that fits."""
    for length, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def core_time(core_hours: float) -> str:
    """Return core-hours as text, in core-minutes or core-seconds where they are few."""
    for length, unit in ((1, "hours"), (1 / 60, "minutes")):
        if core_hours >= 2 * length:
            count = core_hours / length
            return f"{count:.{int(count < 10)}f} core-{unit}"
    return f"{core_hours * 3600:.1f} core-seconds"


def money(price: float) -> str:
    """Return a price in any currency: two decimals, or two digits where those would show 0."""
    return f"{price:.2f}" if price >= 0.1 or not price else f"{price:.2g}"


def size(count: float) -> str:
    """Return a number of bytes in the unit that fits."""
    return next((f"{count / unit:.1f} {name}" for unit, name in _UNITS if count >= unit), f"{count:.0f} B")


def _as_json(made: Plan) -> dict[str, Any]:
    found = dataclasses.asdict(made)
    return found | {"seconds": made.seconds, "bottleneck": made.bottleneck.name, "efficiency": made.efficiency}
