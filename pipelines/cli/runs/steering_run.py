"""A run of ``dreambeam benchmark steering``: each recipe on the same pairs of a recording and a target."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from augment.ascent.dreaming import Sound
from augment.models.yamnet import load_dreaming_model
from evaluation.judges.yamnet_graph import YamnetGraph
from evaluation.pages.steering_page import read_rows, write_page
from evaluation.steering.steering_study import CURVE_SHARE, ROWS, Recording, Steering, draw_pairs, summarise
from pipelines.cli.ending import DONE, complain
from pipelines.cli.watch import bar
from pipelines.clips.references import Failure
from pipelines.clips.whole_files import DEMO, read_sound
from pipelines.config.run_config import ConfigError
from pipelines.files.containers import ClipError
from pipelines.sources.folders import list_files

MAX_SECONDS = 30


def run(
    data: str, pairs: int, only: Sequence[str], report: str | None, as_json: bool, seed: int, weights: str | None
) -> int:
    """Measure each recipe, print the table, and write the page."""
    unknown = [name for name in only if name not in ROWS]
    if unknown:
        raise ConfigError(f"--only: there is no row {unknown[0]!r}; choices: {', '.join(ROWS)}")
    recordings = read_recordings(data)
    model = load_dreaming_model(weights)
    steering = Steering(model, YamnetGraph(weights), seed)
    drawn = draw_pairs(recordings, pairs, seed)
    street = read_sound(DEMO)
    sound = Sound(street.waveform, street.ref.sample_rate)
    about = {
        "data": Path(data).resolve().name,
        "seed": seed,
        "target_sound": "the street recording (demo)",
        "model": model.identity,
    }
    names = list(only) or list(ROWS)
    amounts = {name: drawn[: -(-pairs // CURVE_SHARE)] if ROWS[name].curve else drawn for name in names}
    stored = read_rows(Path(report), about) if report is not None else {}
    # a stored row is kept if it was not asked for, or has the wanted number of pairs
    found = {name: rows for name, rows in stored.items() if name not in names or len(rows) == len(amounts[name])}
    with bar() as shown:
        task = shown.add_task("", total=sum(map(len, amounts.values())))
        for name in names:
            shown.update(task, description=name)
            if name in found:
                shown.advance(task, len(amounts[name]))
                continue
            found[name] = steering.measure(name, amounts[name], sound, lambda done: shown.advance(task, done))
            if report is not None:  # an interrupted measurement continues from here
                _write(report, found, about)
            if not sys.stderr.isatty():
                print(f"{name}: reached {found[name]['reached'].mean():.1%}", file=sys.stderr, flush=True)
    if report is not None:
        _write(report, found, about)
    summaries = [summarise(found[name]) for name in names]
    if as_json:
        print(json.dumps({**about, "rows": summaries}, indent=2))
    else:
        _print(summaries)
    return DONE


def _write(report: str, found: Mapping[str, pd.DataFrame], about: Mapping[str, Any]) -> None:
    tables = [found[name] for name in ROWS if name in found]
    write_page(Path(report), [summarise(table) for table in tables], pd.concat(tables), about)


def read_recordings(folder: str) -> list[Recording]:
    """Read a folder's recordings.

    Raises:
        SourceError: there are none.
        ConfigError: none can be used.
    """
    found = []
    for file in list_files([folder]):
        if isinstance(file, Failure):
            continue
        try:
            clip = read_sound(file.uri, MAX_SECONDS)
        except ClipError as error:
            complain(f"left out: {error}")
            continue
        found.append(Recording(file.id, clip.waveform, clip.ref.sample_rate))
    if not found:
        raise ConfigError(f"--data: {folder!r} holds no recording of up to {MAX_SECONDS} s that can be used")
    return found


def _print(summaries: Sequence[Mapping[str, Any]]) -> None:
    title = "Classified by the judge, from the written audio (95 % intervals over clips)"
    table = Table(title=title, title_justify="left")
    for heading in ("recipe", "pairs", "reached", "top 1", "top 5", "rank change", "SNR dB (least)", "steps"):
        table.add_column(heading, justify="left" if heading == "recipe" else "right")
    for each in summaries:
        low, high = each["reached_interval"]
        table.add_row(
            ROWS[each["row"]].title,
            str(each["pairs"]),
            f"{each['reached']:.1%} ({low:.1%}-{high:.1%})",
            f"{each['top1']:.1%}",
            f"{each['top5']:.1%}",
            f"{each['rank_change']:.0f}",
            f"{each['snr_db']:.1f} ({each['snr_db_min']:.1f})",
            f"{each['steps']:.0f}",
        )
    Console().print(table)
