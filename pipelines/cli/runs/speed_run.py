"""Runs of ``dreambeam benchmark`` that measure speed, around `pipelines.benchmark`."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from augment.models.yamnet import load_dreaming_model
from augment.sound.resampling import to_model
from pipelines.benchmark import speed, speed_instructions, whole_runs
from pipelines.benchmark.speed_page import ratio_text, write_page
from pipelines.cli.ending import DONE
from pipelines.cli.quiet import only_own_messages
from pipelines.cli.runs.steering_run import read_recordings


def whole(rounds: int, clips: int, weights: str | None, *, quick: bool) -> list[speed.Row]:
    """Measure each part and the whole pipeline."""
    model = load_dreaming_model(weights)
    seconds = speed.expected_seconds(model, rounds=rounds, clips=clips, quick=quick)
    _print_length(seconds, "" if quick else "; --quick takes under two")
    with _status() as say:
        measured = speed.measure(model, rounds=rounds, weights=weights, clips=clips, say=say, quick=quick)
        return [row for rows in measured for row in rows]


def instructions(rounds: int, weights: str | None, *, debug: bool) -> list[speed.Row]:
    """Measure exact and fast steps with each kind of vector instructions."""
    _print_length(speed_instructions.expected_seconds(speed.step_seconds(load_dreaming_model(weights)), rounds))
    with only_own_messages(local=True, debug=debug), _status() as say:
        say("exact and fast steps with each kind of instructions")
        return speed_instructions.rows(rounds)


def against_naive(data: str | None, clips: int, steps: Sequence[int], weights: str | None) -> list[speed.Row]:
    """Measure the same dreams by dreambeam and by a plain loop.

    Args:
        data: folder of recordings; those of the most common length are dreamed. None takes noise.
        clips: at most.
        steps: gradient steps, one measurement each.
        weights: of YAMNet.
    """
    model = load_dreaming_model(weights)
    waveforms = speed.noise(clips)
    if data is not None:
        waveforms = [to_model(each.waveform, each.sample_rate) for each in read_recordings(data)]
        length, _ = Counter(map(len, waveforms)).most_common(1)[0]
        waveforms = [each for each in waveforms if len(each) == length][:clips]
    with _status() as say:
        say("the same dreams by dreambeam and by a plain loop")
        return whole_runs.against_naive(model, waveforms, steps)


def show(rows: Sequence[speed.Row], report: str | None, *, as_json: bool) -> int:
    """Print the rows as a table or JSON, and write the page."""
    if report is not None:
        write_page(Path(report), rows)
    if as_json:
        print(json.dumps([dataclasses.asdict(row) for row in rows], indent=2))
    else:
        Console().print(_table(rows))
    return DONE


def _print_length(seconds: float, hint: str = "") -> None:
    minutes = seconds / 60
    length = f"{minutes:.0f} minutes" if minutes >= 1.5 else "a minute"
    print(f"This takes about {length}{hint}.", file=sys.stderr)


@contextmanager
def _status() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows what is measured: a status on a terminal, lines elsewhere."""
    if not sys.stderr.isatty():
        yield lambda what: print(f"measuring {what} ...", file=sys.stderr, flush=True)
        return
    with Console(stderr=True).status("measuring ...") as status:
        yield lambda what: status.update(f"measuring {what} ...")


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
