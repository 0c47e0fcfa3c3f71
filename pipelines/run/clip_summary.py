"""The summary of a run's clips: labels, channel counts, and how many clips there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import apache_beam as beam

from pipelines.clips.references import ClipRef
from pipelines.dataset.schema import Vocabulary


@dataclass(frozen=True)
class Summary:
    """What all clips of a run have in common, and how many there are, in all and of each split."""

    vocabulary: Vocabulary
    clips: int
    seconds: float
    clips_by_split: Mapping[str, int]


Accumulator = tuple[set[str], set[int], Counter[str], float]
"""Labels, channel counts, clips by split, and seconds."""


class ClipSummary(beam.CombineFn):
    """Combines clips to a `Summary`.

    Labels come in the order of the source's own list; then those of clips that are not in it, sorted, as numbers if all
    of them are; then labels that no clip has.
    """

    def __init__(self, vocabulary: Vocabulary, more_labels: tuple[str, ...] = ()):
        self._vocabulary, self._more_labels = vocabulary, more_labels

    def create_accumulator(self) -> Accumulator:
        """Return the summary of no clip."""
        return set(), set(), Counter(), 0.0

    def add_input(self, accumulator: Accumulator, element: ClipRef) -> Accumulator:
        """Add a clip."""
        labels, channels, clips, seconds = accumulator
        labels.update(element.labels)
        channels.add(element.channels)
        clips[element.split] += 1
        return labels, channels, clips, seconds + element.seconds

    def merge_accumulators(self, accumulators: Iterable[Accumulator]) -> Accumulator:
        """Add summaries up."""
        labels, channels, clips, seconds = zip(*accumulators, strict=True)
        return set().union(*labels), set().union(*channels), sum(clips, Counter[str]()), sum(seconds)

    def extract_output(self, accumulator: Accumulator) -> Summary:
        """Put labels and channels in order."""
        labels, channels, clips, seconds = accumulator
        names = dict.fromkeys([*self._vocabulary.labels, *in_order(labels), *self._more_labels])
        vocabulary = Vocabulary(tuple(names), tuple(sorted(channels)), self._vocabulary.groups)
        return Summary(vocabulary, clips.total(), round(seconds, 3), dict(sorted(clips.items())))


def in_order(labels: Iterable[str]) -> list[str]:
    """Sort labels, as numbers if all are integers."""
    found = list(labels)
    if all(label.removeprefix("-").isdecimal() and len(label) < 20 for label in found):
        return sorted(found, key=lambda label: (int(label), label))
    return sorted(found)
