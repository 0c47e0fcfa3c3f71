"""Live progress of a local run: clips, audio seconds a second, time left."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pipelines import progress
from pipelines.config.run_config import RunConfig
from pipelines.dataset.scratch import Scratch

_INTERVAL_SECONDS = 0.5
_LOG_INTERVAL_SECONDS = 15.0


def watch(config: RunConfig) -> Callable[[Scratch, dict[str, int]], AbstractContextManager[None]]:
    """Return a watcher for `pipelines.run.augmentation`: a bar on a terminal, now and then a line elsewhere."""
    work = sum(recipe.steps for recipe in config.named_recipes().values()) * config.variants
    per_clip = config.records_per_clip

    def watching(scratch: Scratch, listed: dict[str, int]) -> AbstractContextManager[None]:
        show = _Bar() if sys.stderr.isatty() else _Lines()

        def update() -> None:
            counts = progress.total(scratch.progress)
            show.update(counts, int(counts["records"] // per_clip), work, listed["files"])

        return _polling(show, update)

    return watching


def watch_records(folder: str, records: int, what: str) -> AbstractContextManager[None]:
    """Show the progress of records (`pipelines.progress.Watch`): a bar on a terminal, a line now and then elsewhere."""
    show = _RecordBar(records, what) if sys.stderr.isatty() else _RecordLines(records, what)
    return _polling(show, lambda: show.update(round(progress.total(folder)["records"])))


@contextmanager
def _polling(show: AbstractContextManager[object], update: Callable[[], None]) -> Iterator[None]:
    """Update what is shown now and then, in a thread of its own."""
    stop = threading.Event()

    def poll() -> None:
        while not stop.wait(_INTERVAL_SECONDS):
            update()

    thread = threading.Thread(target=poll, daemon=True)
    with show:
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


class _RecordBar:
    def __init__(self, records: int, what: str) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f}"))
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(elapsed_when_finished=False))
        self._progress = Progress(*columns, *times, console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task(what, total=records)

    def __enter__(self) -> _RecordBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, done: int) -> None:
        """Show the count."""
        self._progress.update(self._task, completed=done)


class _RecordLines:
    def __init__(self, records: int, what: str) -> None:
        self._records, self._what = records, what
        self._clock, self._said = _Clock(), time.monotonic()

    def __enter__(self) -> _RecordLines:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def update(self, done: int) -> None:
        """Print the count, if the last line is old enough."""
        speed = self._clock.speed(done)
        if time.monotonic() - self._said < _LOG_INTERVAL_SECONDS:
            return
        self._said = time.monotonic()
        left = f", {max(0, self._records - done) / speed:.0f} s left" if speed else ""
        print(f"{done} of {self._records} {self._what}{left}", file=sys.stderr, flush=True)


class _Bar:
    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("reading headers", total=None, speed="")
        self._clock = _Clock()

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, counts: Counter[str], clips: int, work: int, files: int) -> None:
        """Show the counts."""
        del files
        done, total = counts["step_seconds"], counts["listed_seconds"] * work
        self._progress.update(
            self._task,
            description=f"{clips}/{counts['listed_clips']:.0f} clips, {counts['failed']:.0f} failed",
            completed=done,
            total=total or None,
            speed=rate(self._clock.speed(done) / max(1, work), " s of audio/s"),
        )


class _Lines:
    def __init__(self) -> None:
        self._clock = _Clock()
        self._said = time.monotonic()

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def update(self, counts: Counter[str], clips: int, work: int, files: int) -> None:
        """Print the counts, if the last line is old enough."""
        done, total = counts["step_seconds"], counts["listed_seconds"] * work
        speed = self._clock.speed(done)
        if time.monotonic() - self._said < _LOG_INTERVAL_SECONDS:
            return
        self._said = time.monotonic()
        left = f", {max(0.0, total - done) / speed:.0f} s left" if speed and total else ""
        done_clips = f"{clips} of {counts['listed_clips']:.0f} clips of {files} files"
        told = ", ".join(filter(None, (done_clips, rate(speed / max(1, work), " s of audio a second"))))
        print(f"{told}{left}", file=sys.stderr, flush=True)


def rate(speed: float, unit: str) -> str:
    """Print a speed with one decimal and its unit; nothing while there is none to be seen, as before the first step."""
    return f"{speed:.1f}{unit}" if speed >= 0.05 else ""


class _Clock:
    """Measures speed from the moment that the first step was done."""

    def __init__(self) -> None:
        self._start: tuple[float, float] | None = None

    def speed(self, done: float) -> float:
        """Return what was done a second."""
        if not done:
            return 0.0
        if self._start is None:
            self._start = (time.monotonic(), done)
        since = time.monotonic() - self._start[0]
        return (done - self._start[1]) / since if since else 0.0
