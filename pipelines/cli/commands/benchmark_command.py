"""``dreambeam benchmark``: print what `pipelines.benchmark.speed` measures of this machine."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from augment.models.yamnet import load_dreaming_model
from augment.sound.resampling import to_model
from pipelines.benchmark import speed, speed_instructions
from pipelines.benchmark.speed_page import ratio_text, write_page
from pipelines.cli.commands.steering_command import read_recordings
from pipelines.config.run_config import ConfigError


def run(
    what: str,
    as_json: bool,
    rounds: int,
    weights: str | None,
    against: str | None,
    data: str | None,
    clips: int,
    steps: Sequence[int],
    report: str | None,
    *,
    quick: bool = False,
) -> int:
    """Measure and print: the whole table, one by instructions, or dreambeam beside the naive loop; write the page."""
    if report is not None and Path(report).exists() and not Path(report).is_dir():
        raise ConfigError(f"--report: {report!r} is a file; name a folder")
    rows: list[speed.Row] = []
    with Console(stderr=True).status("measuring ...") as status:
        if not sys.stderr.isatty():
            status.stop()

        def say(what: str) -> None:
            if sys.stderr.isatty():
                status.update(f"measuring {what} ...")
            else:
                print(f"measuring {what} ...", file=sys.stderr, flush=True)

        if what == "instructions":
            say("exact and fast steps with each kind of instructions")
            rows += speed_instructions.rows(rounds)
        elif against is not None:
            model = load_dreaming_model(weights)
            say("the same dreams by dreambeam and by a plain loop")
            rows += speed.against_naive(model, _heard(data, clips) if data else speed.noise(clips), steps)
        else:
            model = load_dreaming_model(weights)
            minutes = speed.expected_seconds(model, rounds=rounds, clips=clips, quick=quick) / 60
            length = f"{minutes:.0f} minutes" if minutes >= 1.5 else "a minute"
            print(f"This takes about {length}{'' if quick else '; --quick takes under two'}.", file=sys.stderr)
            for found in speed.measure(model, rounds=rounds, weights=weights, clips=clips, say=say, quick=quick):
                rows += found
    if report is not None:
        write_page(Path(report), rows)
    if as_json:
        print(json.dumps([dataclasses.asdict(row) for row in rows], indent=2))
    else:
        Console().print(_table(rows))
    return 0


def _heard(data: str, count: int) -> list[np.ndarray]:
    """Return recordings as YAMNet hears them: those of the most common length, so many at most."""
    heard = [to_model(each.waveform, each.sample_rate) for each in read_recordings(data)]
    length, _ = Counter(map(len, heard)).most_common(1)[0]
    return [each for each in heard if len(each) == length][:count]


def _table(rows: Iterable[speed.Row]) -> Table:
    table = Table(title="Speed on this machine; × is how many times as fast as", title_justify="left", box=box.SIMPLE)
    for heading in ("", "figure", "unit", "×", ""):
        number = heading in ("figure", "×")
        table.add_column(
            heading, justify="right" if number else "left", no_wrap=number, min_width=7 if number else None
        )
    last = None
    for row in rows:
        if row.part != last:
            table.add_row(f"[bold]{row.part}[/bold]")
        table.add_row(f"  {row.name}", f"{row.figure:.1f}", row.unit, ratio_text(row), row.against or "")
        last = row.part
    return table
