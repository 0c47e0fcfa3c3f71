"""Work in the background whose results come in the order in which it was started."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Result = TypeVar("Result")


class StoppedError(Exception):
    """Other work has failed, or the run was stopped."""


class Background(Generic[Result]):
    """Exhausts iterables in two threads.

    One ascent runs at a time (`augment.ascent.loop`); the second thread resamples, measures and encodes the dreams of
    the batch before, while the caller decodes the next clips.
    """

    def __init__(self) -> None:
        """Start idle."""
        self._pool = ThreadPoolExecutor(2, "dream")
        self._running: deque[Future[list[Result]]] = deque()
        self._stopped = threading.Event()

    def start(self, results: Iterable[Result]) -> None:
        """Exhaust an iterable in the background."""
        self._running.append(self._pool.submit(list, results))

    def results(self, running: int) -> Iterator[Result]:
        """Give finished results in order, until at most `running` iterables are unfinished.

        If an iterable fails, or on Ctrl-C, all others stop at their next `check`.
        """
        try:
            while self._running and (len(self._running) > running or self._running[0].done()):
                yield from self._running.popleft().result()
        except BaseException:
            self._stopped.set()
            raise

    def check(self) -> None:
        """Raise `StoppedError` if the work is to stop; to be called within it."""
        if self._stopped.is_set():
            raise StoppedError

    def shutdown(self) -> None:
        """Wait for what is running."""
        self._pool.shutdown()
