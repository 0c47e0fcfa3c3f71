"""Batches: decoded clips, collected by padded length until they fill a batch, in bounded memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from augment.ascent.dreaming import Sound
from augment.models.interface import AudioModel
from pipelines.clips.clips import Clip

MAX_WAITING_BYTES = 256 << 20
"""Decoded clips that wait for others of their length; beyond it the largest batch is dreamed before it is full."""


@dataclass(frozen=True, eq=False)
class DecodedClip:
    """A clip that waits for its batch."""

    clip: Clip  # its samples
    sound: Sound  # the same with the model's input
    digest: str  # of the clip (`pipelines.worker.resume.clip_digest`)

    @property
    def bytes(self) -> int:
        """Of memory."""
        return self.clip.waveform.nbytes + self.sound.model_input.nbytes

    @property
    def seconds(self) -> float:
        """How long the model's input is."""
        return len(self.sound.model_input) / self.sound.model_rate


class Batches:
    """Clips that wait for others of the same padded length."""

    def __init__(self, model: AudioModel, batch_size: int):
        """Start empty; the model gives the padded lengths, and a limit for long clips."""
        self._model, self._batch_size = model, batch_size
        self._waiting: dict[int, list[DecodedClip]] = defaultdict(list)

    @property
    def waiting_bytes(self) -> int:
        """Memory of all clips that wait."""
        return sum(clip.bytes for queue in self._waiting.values() for clip in queue)

    def size_limit(self, clip: DecodedClip) -> int:
        """Return how many clips of this clip's length a batch may have."""
        return min(self._batch_size, self._model.batch_limit(self._length(clip)))

    def add(self, clip: DecodedClip) -> list[DecodedClip]:
        """Add a clip; return the batch that is to be dreamed now, if any."""
        length = self._length(clip)
        self._waiting[length].append(clip)
        if len(self._waiting[length]) >= self.size_limit(clip):
            return self._waiting.pop(length)
        if self.waiting_bytes > MAX_WAITING_BYTES:
            return self._waiting.pop(max(self._waiting, key=lambda key: sum(each.bytes for each in self._waiting[key])))
        return []

    def rest(self) -> Iterator[list[DecodedClip]]:
        """Give the batches that are not full, the shortest clips first."""
        for length in sorted(self._waiting):
            yield self._waiting.pop(length)

    def _length(self, clip: DecodedClip) -> int:
        return self._model.padded_length(len(clip.sound.model_input))
