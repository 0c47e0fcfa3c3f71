"""Live progress on stderr: a bar on a terminal, elsewhere a line every 15 seconds."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pipelines import progress
from pipelines.config.run_config import RunConfig
from pipelines.dataset.scratch import Scratch

_INTERVAL_SECONDS = 0.5
_LOG_INTERVAL_SECONDS = 15.0


@dataclass(frozen=True)
class State:
    """How far some work is.

    Attributes:
        title: for the bar.
        line: for the log.
        done: in any unit.
        total: in the same unit; 0 if it is not known yet.
        scale: the unit in seconds of audio, for showing a speed; None shows no speed.
    """

    title: str
    line: str
    done: float
    total: float
    scale: float | None = None


def watch(config: RunConfig) -> Callable[[Scratch, dict[str, int]], AbstractContextManager[None]]:
    """Return a watcher of a run, for `pipelines.run.augmentation`."""
    steps = max(1, sum(recipe.steps for recipe in config.named_recipes().values()) * config.variants)

    def watching(scratch: Scratch, listed: dict[str, int]) -> AbstractContextManager[None]:
        return _polling(lambda: run_state(progress.total(scratch.progress), config, steps, listed["files"]))

    return watching


def run_state(counts: Counter[str], config: RunConfig, steps: int, files: int) -> State:
    """Return the state of a run: done and total are seconds of audio times gradient steps."""
    clips, listed = int(counts["records"] // config.records_per_clip), f"{counts['listed_clips']:.0f}"
    title = f"{clips}/{listed} clips, {counts['failed']:.0f} failed" if listed != "0" else "reading headers"
    line = f"{clips} of {listed} clips of {files} files"
    return State(title, line, counts["step_seconds"], counts["listed_seconds"] * steps, 1 / steps)


def watch_records(folder: str, records: int, what: str) -> AbstractContextManager[None]:
    """Show the progress of records, as `pipelines.progress.Watch` has it."""

    def state() -> State:
        done = round(progress.total(folder)["records"])
        return State(f"{what} {done}/{records}", f"{done} of {records} {what}", done, records)

    return _polling(state)


def bar(*columns: ProgressColumn) -> Progress:
    """Return a progress bar on stderr; it shows nothing where stderr is not a terminal."""
    shown = columns or Progress.get_default_columns()
    return Progress(*shown, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


@contextmanager
def _polling(state: Callable[[], State]) -> Iterator[None]:
    """Show the state at intervals, from a thread."""
    stop = threading.Event()
    left = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(elapsed_when_finished=False))
    with bar(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[speed]}"), *left) as shown:
        lines = Lines()
        task = shown.add_task("starting", total=None, speed="")

        def poll() -> None:
            while not stop.wait(_INTERVAL_SECONDS):
                now = state()
                speed = lines.update(now)
                shown.update(task, description=now.title, completed=now.done, total=now.total or None, speed=speed)

        thread = threading.Thread(target=poll, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


class Lines:
    """Measures the speed from the first finished work on, and prints lines where stderr is not a terminal."""

    def __init__(self) -> None:
        self._start: tuple[float, float] | None = None
        self._printed = time.monotonic()

    def update(self, state: State) -> str:
        """Print a line if the last one is old enough; return the speed as text."""
        now = time.monotonic()
        if state.done and self._start is None:
            self._start = (now, state.done)
        began, first = self._start or (now, 0.0)
        speed = (state.done - first) / (now - began) if now > began else 0.0
        text = rate(speed * state.scale) if state.scale else ""
        if not sys.stderr.isatty() and now - self._printed >= _LOG_INTERVAL_SECONDS:
            self._printed = now
            left = f"{max(0.0, state.total - state.done) / speed:.0f} s left" if speed and state.total else ""
            print(", ".join(filter(None, (state.line, text, left))), file=sys.stderr, flush=True)
        return text


def rate(speed: float) -> str:
    """Return a speed with one decimal; nothing for a speed that would be shown as 0.0."""
    return f"{speed:.1f} s of audio a second" if speed >= 0.05 else ""
