"""``dreambeam plan``: what a run on a cluster takes, by arithmetic."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from pipelines.benchmark import planning
from pipelines.benchmark.planning import Job, Plan

_UNITS = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))

WORKERS = (10, 100, 1000)
"""How many workers are compared."""


def run(job: Job, changes: Sequence[str], core_hour: float | None, as_json: bool) -> int:
    """Print the plan, and where runs of other sizes are held up."""
    rates = planning.rates(changes)
    made = planning.plan(job, rates)
    others = [planning.plan(dataclasses.replace(job, workers=workers), rates) for workers in WORKERS]
    price = None if core_hour is None else planning.cost(made, core_hour=core_hour)
    if as_json:
        print(json.dumps(_told(made, price) | {"at": [_told(each, None) for each in others]}, indent=2))
        return 0
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{job.clips} clips of {job.seconds:g} s, {job.dreams} dreams of each in {job.steps} steps, on {job.workers} "
        f"workers of {job.cores} cores: {duration(made.seconds)}, {made.efficiency:.0%} of it dreaming",
        markup=False,
    )
    for part in made.parts:
        mark = ": the bottleneck" if part is made.bottleneck else ""
        console.print(f"  {part.name:<26}{duration(part.seconds):>10}  {part.limit}{mark}", markup=False)
    console.print(
        f"  {made.files} files of {job.clips} clips; {made.records} records in {made.shards} shards, "
        f"{size(made.output_bytes)}; unfinished work takes up to "
        f"{size(made.scratch_bytes)}\n"
        f"  {size(made.moved_bytes)} read and written, {size(made.shuffled_bytes)} shuffled; "
        f"{size(made.memory_bytes)} of memory for each worker\n"
        f"  {core_time(made.core_hours)} of work, {core_time(made.seconds / 3600 * job.workers * job.cores)} paid for"
        + ("" if price is None else f": {money(price)} at {core_hour:g} a core-hour"),
        markup=False,
    )
    for each in others:
        held = each.bottleneck
        console.print(
            f"  with {each.job.workers} workers: {duration(each.seconds)}, {each.efficiency:.0%} dreaming; longest: "
            f"{held.name} ({held.limit}), {duration(held.seconds)}",
            markup=False,
        )
    return 0


def duration(seconds: float) -> str:
    """Print a time in the unit that fits."""
    for length, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def core_time(core_hours: float) -> str:
    """Print so many core-hours, in core-minutes or core-seconds where they are few."""
    for length, unit in ((1, "hours"), (1 / 60, "minutes")):
        if core_hours >= 2 * length:
            count = core_hours / length
            return f"{count:.{int(count < 10)}f} core-{unit}"
    return f"{core_hours * 3600:.1f} core-seconds"


def money(price: float) -> str:
    """Print a price, whatever the currency: two decimals, or two digits where those would not show them."""
    return f"{price:.2f}" if price >= 0.1 or not price else f"{price:.2g}"


def size(count: float) -> str:
    """Print a number of bytes in the unit that fits."""
    return next((f"{count / unit:.1f} {name}" for unit, name in _UNITS if count >= unit), f"{count:.0f} B")


def _told(made: Plan, price: float | None) -> dict[str, Any]:
    told = dataclasses.asdict(made)
    told |= {"seconds": made.seconds, "bottleneck": made.bottleneck.name, "efficiency": made.efficiency}
    return told if price is None else told | {"cost": price}
