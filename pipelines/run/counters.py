"""Metrics: what workers count while a pipeline runs, as Beam's counters, and how to read them when it has ended.

They are in the namespace `NAMESPACE`; Flink, Spark and Dataflow show them in their own pages while a run goes on. A
bundle that an engine has to repeat is counted again: these figures tell what was worked, ``counts`` in run.json what
came out.

Counters: ``clips_listed``, ``clips_read``, ``clips_reused``, ``records``, ``dreamed``, ``reached``, ``audio_ms``,
``gradient_steps`` (of a clip each), ``failed_STAGE`` for each stage of failures.jsonl. Distribution: ``batch_fill``,
percent of a batch's room.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

from apache_beam.metrics.metric import Metrics, MetricsFilter
from apache_beam.runners.runner import PipelineResult

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
        self._told: Counter[str] = Counter()

    def tell(self, counts: Mapping[str, float]) -> None:
        """Add what has come since the last time to the counters; to be called in a bundle, after each result."""
        now = {name: round(counts.get(key, 0) * unit) for name, (key, unit) in _COUNTERS.items()}
        for name, value in now.items():
            if value > self._told[name]:
                count(name, value - self._told[name])
                self._told[name] = value
        room = round(counts.get("batch_room", 0)) - self._told["batch_room"]
        if room:
            clips = round(counts["batch_clips"]) - self._told["batch_clips"]
            Metrics.distribution(NAMESPACE, "batch_fill").update(round(100 * clips / room))
            self._told.update(batch_room=room, batch_clips=clips)


def read(result: PipelineResult) -> dict[str, Any]:
    """Return the metrics of a pipeline that has ended: counters by name, distributions as count, mean, min and max.

    Engines that keep none give {}.
    """
    try:
        found = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))
    except Exception as error:  # noqa: BLE001  each engine fails in its own way, and the run has ended well
        _log.debug("this engine tells no metrics: %s", error)
        return {}
    told: Counter[str] = Counter()
    for each in found["counters"]:
        told[each.key.metric.name] += _result(each) or 0
    spread: dict[str, Any] = {}
    for each in found["distributions"]:
        values = _result(each)
        if values is None or not values.count:
            continue
        had = spread.get(each.key.metric.name)
        parts = [had, values] if had is not None else [values]
        spread[each.key.metric.name] = _Spread(
            sum(part.count for part in parts),
            sum(part.sum for part in parts),
            min(part.min for part in parts),
            max(part.max for part in parts),
        )
    return dict(sorted(told.items())) | {name: values.told() for name, values in sorted(spread.items())}


class _Spread:
    def __init__(self, count: int, total: int, low: int, high: int):
        self.count, self.sum, self.min, self.max = count, total, low, high

    def told(self) -> dict[str, float]:
        """Return what run.json tells."""
        return {"count": self.count, "mean": round(self.sum / self.count, 1), "min": self.min, "max": self.max}


def _result(found: Any) -> Any:
    """Return what is known of a metric: engines tell what was attempted, committed, or both."""
    return found.committed if found.committed is not None else found.attempted
