"""Progress of a local run: each worker writes its counts to a small file, and whoever watches adds them up.

Files serve threads and processes alike. A worker's counts replace each other, so that the folder stays small; on a file
system that is not local nothing is written.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

Watch = Callable[[str, int, str], AbstractContextManager[None]]
"""Shows how far work is while it is entered: (folder of the counts, how many ``records`` come, what they are)."""

_INTERVAL_SECONDS = 0.25


def wait_for(result: Any) -> None:
    """Wait for Beam's pipeline to end; if we are interrupted, cancel it, or an engine would work on for nobody."""
    try:
        result.wait_until_finish()
    except BaseException:
        with suppress(Exception):  # it has ended, or the engine cannot cancel
            result.cancel()
        raise


class Counts:
    """One worker's counts, written to a file now and then; its threads may add to them at once.

    They are ``clips``, ``failed``, ``records``, ``reached``, ``audio_seconds``, ``step_seconds`` (audio seconds times
    gradient steps), ``clip_steps`` (clips times gradient steps), ``batch_clips`` and ``batch_room`` (clips in batches,
    and how many would have fitted).
    """

    def __init__(self, folder: str):
        """Start at zero; folder may not exist, then nothing is written."""
        self._path = Path(folder) / f"{uuid.uuid4().hex}.json"
        self._counts: Counter[str] = Counter()
        self._written = 0.0
        self._lock = threading.Lock()

    @property
    def so_far(self) -> Mapping[str, float]:
        """The current counts."""
        with self._lock:
            return dict(self._counts)

    def add(self, **counts: float) -> None:
        """Add to the counts."""
        with self._lock:
            self._counts.update(counts)  # type: ignore[arg-type]
            if time.monotonic() - self._written > _INTERVAL_SECONDS:
                self._write()

    def write(self) -> None:
        """Write all counts."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        if self._path.parent.is_dir():
            partial = self._path.with_suffix(".partial")
            partial.write_text(json.dumps(self._counts))
            os.replace(partial, self._path)


@contextmanager
def unwatched(folder: str, records: int, what: str) -> Iterator[None]:
    """Show nothing."""
    del folder, records, what
    yield


def total(folder: str) -> Counter[str]:
    """Add up the counts of all workers that write to the folder."""
    counts: Counter[str] = Counter()
    for path in Path(folder).glob("*.json"):
        counts.update(json.loads(path.read_text()))
    return counts
