"""Metrics: what workers count while a pipeline runs, as Beam's counters, and how to read them in the end.

They are in the namespace `NAMESPACE`; Flink, Spark and Dataflow show them in their own pages while a run goes on. A
bundle that an engine has to repeat is counted again: these figures measure work, ``counts`` in run.json the result.

Counters: ``clips_listed``, ``clips_read``, ``clips_reused``, ``records``, ``dreamed``, ``reached``, ``audio_ms``,
``gradient_steps`` (of a clip each), ``failed_STAGE`` for each stage of failures.jsonl. Distribution: ``batch_fill``,
percent of a batch's room.
"""

from __future__ import annotations

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from apache_beam.metrics.metric import Metrics, MetricsFilter
from apache_beam.runners.runner import PipelineResult

from pipelines.progress import total

NAMESPACE = "dreambeam"

_COUNTERS = {
    "clips_read": ("clips", 1),
    "clips_reused": ("reused", 1),
    "records": ("records", 1),
    "dreamed": ("dreams", 1),
    "reached": ("reached", 1),
    "audio_ms": ("audio_seconds", 1000),
    "gradient_steps": ("clip_steps", 1),
}
"""Counters by name: which of a worker's counts (`pipelines.progress`), and in which unit."""

_log = logging.getLogger("dreambeam")


def count(name: str, by: int = 1) -> None:
    """Add to a counter of the bundle that runs."""
    Metrics.counter(NAMESPACE, name).inc(by)


def failed(stage: str) -> None:
    """Count a failure."""
    count(f"failed_{stage}")


class Meter:
    """Turns a worker's growing counts into Beam's counters."""

    def __init__(self) -> None:
        """Start at zero."""
        self._counted: Counter[str] = Counter()

    def update(self, counts: Mapping[str, float]) -> None:
        """Add what is new since the last call to the counters; to be called in a bundle, after each result."""
        for name, (key, unit) in _COUNTERS.items():
            new = round(counts.get(key, 0) * unit) - self._counted[name]
            if new > 0:
                count(name, new)
                self._counted[name] += new
        room = round(counts.get("batch_room", 0)) - self._counted["batch_room"]
        if room:
            clips = round(counts["batch_clips"]) - self._counted["batch_clips"]
            Metrics.distribution(NAMESPACE, "batch_fill").update(round(100 * clips / room))
            self._counted.update(batch_room=room, batch_clips=clips)


def read(result: PipelineResult) -> dict[str, Any]:
    """Return the metrics of a finished pipeline: counters by name, distributions as count, mean, min and max.

    Engines that keep none give {}.
    """
    try:
        found = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))
    except Exception as error:  # noqa: BLE001  each engine fails in its own way, and the run has ended well
        _log.debug("this engine has no metrics: %s", error)
        return {}
    totals: Counter[str] = Counter()
    for each in found["counters"]:
        totals[each.key.metric.name] += _value(each) or 0
    spreads: dict[str, list[Any]] = defaultdict(list)
    for each in found["distributions"]:
        if (value := _value(each)) is not None and value.count:
            spreads[each.key.metric.name].append(value)
    return {**dict(sorted(totals.items())), **{name: _spread(parts) for name, parts in sorted(spreads.items())}}


def of_workers(progress: str, manifest: str) -> dict[str, Any]:
    """Return the counters of a run on an engine that keeps none: from its workers' counts and its failures.

    Args:
        progress: folder of the workers' counts (`pipelines.progress`), on a file system that is local.
        manifest: file of the run that has ended.
    """
    counts = total(progress)
    found = {name: round(counts[key] * unit) for name, (key, unit) in _COUNTERS.items()}
    found["clips_listed"] = round(counts["listed_clips"])
    failures = json.loads(Path(manifest).read_text())["failures"] or {"stages": {}}
    found |= {f"failed_{stage}": number for stage, number in failures["stages"].items()}
    return {name: value for name, value in sorted(found.items()) if value}


def _spread(parts: Sequence[Any]) -> dict[str, float]:
    """Return what run.json stores of a distribution, which may come in parts."""
    count = sum(part.count for part in parts)
    mean = round(sum(part.sum for part in parts) / count, 1)
    return {
        "count": count,
        "mean": mean,
        "min": min(part.min for part in parts),
        "max": max(part.max for part in parts),
    }


def _value(found: Any) -> Any:
    """Return the value of a metric: engines give what was attempted, committed, or both."""
    return found.committed if found.committed is not None else found.attempted
