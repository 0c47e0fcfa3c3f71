"""Views: what becomes of a clip before a classifier hears it, and what it hears of that.

A view is a clip as it came, corrupted, augmented, or dreamed. It is made once from the clip at 16 kHz, mono, and kept
as what classifiers take: the mean of YAMNet's embeddings, and a log-mel spectrogram. A `Store` keeps the views of all
clips in a folder, in a file for each way of making them, named by a hash of all that shaped it; so arms share them, and
a run that was stopped goes on with them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from augment.ascent.loop import pad_batch
from augment.ascent.recipe import canonical_json
from augment.determinism import draws
from augment.models.yamnet import DreamingModel, mean_over_patches, padded_length, patch_count
from augment.sound.resampling import to_model
from augment.sound.samples import SAMPLE_RATE
from evaluation.utility.corruptions import CORRUPTIONS
from evaluation.utility.folds import Clip

VERSION = 1
"""Of what views are and how they are kept."""

POOL = 4
"""Frames of YAMNet's log-mel (10 ms) that are averaged into one."""

FRAMES = 124
"""Averaged frames of a log-mel that a classifier takes: 5 s. A longer one is cut, a shorter one repeated."""

BATCH = 16
"""Clips that are in memory at once."""

ReadClip = Callable[[Mapping[str, Any]], tuple[np.ndarray, int]]
"""Reads a clip by its ``where``: float32 [samples, channels], and its Hz."""


@dataclass(frozen=True, eq=False)
class Heard:
    """A clip as it is heard.

    Attributes:
        clip: which it is.
        waveform: float32 [samples], mono at 16 kHz.
    """

    clip: Clip
    waveform: np.ndarray


@dataclass(frozen=True, eq=False)
class Made:
    """One view of a clip.

    Attributes:
        waveform: float32 [samples] at 16 kHz.
        label: of what it was dreamed toward, where that is one of the labels; else the clip's.
        snr_db: of it against the clip; infinite where nothing changed.
    """

    waveform: np.ndarray
    label: str
    snr_db: float = float("inf")


class Maker(Protocol):
    """A way of making views."""

    def key(self) -> dict[str, Any]:
        """Return all that shapes the views, as plain data."""
        ...

    def make(self, clips: Sequence[Heard], variant: int) -> list[Made]:
        """Make a view of each clip; variants differ."""
        ...


@dataclass(frozen=True)
class Original:
    """The clips as they came."""

    def key(self) -> dict[str, Any]:
        """Return what tells it from other makers."""
        return {"kind": "original"}

    def make(self, clips: Sequence[Heard], variant: int) -> list[Made]:
        """Return the clips."""
        del variant
        return [Made(each.waveform, each.clip.label) for each in clips]


@dataclass(frozen=True)
class Corrupted:
    """The clips after one of `evaluation.utility.corruptions.CORRUPTIONS`.

    Attributes:
        name: of the corruption.
        seed: of its draws.
    """

    name: str
    seed: int

    def key(self) -> dict[str, Any]:
        """Return what tells it from other makers."""
        return {"kind": "corruption", "name": self.name, "seed": self.seed}

    def make(self, clips: Sequence[Heard], variant: int) -> list[Made]:
        """Corrupt the clips."""
        apply = CORRUPTIONS[self.name].apply
        found = []
        for each in clips:
            number = draws.draw(self.seed, each.clip.id, variant, self.name)
            found.append(Made(apply(each.waveform, SAMPLE_RATE, number), each.clip.label))
        return found


@dataclass(frozen=True, eq=False)
class Views:
    """One view of each clip, as classifiers take it.

    Attributes:
        embeddings: float32 [clips, 1024], the mean over a view's patches.
        log_mels: float32 [clips, `FRAMES`, 64].
        labels: [clips], as `Made` has them.
        snr_db: float32 [clips].
    """

    embeddings: np.ndarray
    log_mels: np.ndarray
    labels: np.ndarray
    snr_db: np.ndarray


@dataclass
class Store:
    """Views of the same clips, kept in a folder.

    Attributes:
        clips: all of them; views come in their order.
        read: reads one.
        model: YAMNet, whose embeddings and log-mels are kept.
        folder: where they are kept.
    """

    clips: Sequence[Clip]
    read: ReadClip
    model: DreamingModel
    folder: Path
    _known: dict[str, Path] = field(default_factory=dict)
    _embeddings: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        listed = [[each.id, each.label, each.content] for each in self.clips]
        self._common = {"version": VERSION, "clips": listed, "model": self.model.identity}
        self._hear = tf.function(
            self._features, input_signature=[tf.TensorSpec([None, None]), tf.TensorSpec([None], tf.int32)]
        )

    def views(self, maker: Maker, variant: int = 0, on_clips: Callable[[int], None] | None = None) -> Views:
        """Return the views that a maker makes of all clips, from the folder if they are there.

        Args:
            maker: makes them.
            variant: which of its variants.
            on_clips: called with the number of clips that are done.
        """
        return _read(self.prepare(maker, variant, on_clips))

    def features(self, maker: Maker, takes: str, variant: int = 0) -> np.ndarray:
        """Return what a classifier takes of the views: "embeddings" or "log_mels", as `Views` has them.

        Embeddings (4 kB a view) stay in memory, log-mels (16 kB) are read anew each time.
        """
        path = self.prepare(maker, variant)
        if takes == "embeddings":
            if path.name not in self._embeddings:
                self._embeddings[path.name] = _read_field(path, takes)
            return self._embeddings[path.name]
        return _read_field(path, takes).astype(np.float32)

    def labels(self, maker: Maker, variant: int = 0) -> np.ndarray:
        """Return the labels of the views, [clips], as `Made` has them."""
        return _read_field(self.prepare(maker, variant), "labels")

    def prepare(self, maker: Maker, variant: int, on_clips: Callable[[int], None] | None = None) -> Path:
        """Make the views that a maker makes of all clips, if they are not there; return their file.

        Args:
            maker: makes them.
            variant: which of its variants.
            on_clips: called with the number of clips that are done.
        """
        name = canonical_json({**maker.key(), "variant": variant})
        if name not in self._known:
            path = self.path(maker, variant)
            if not path.exists():
                _write(path, self._make(maker, variant, on_clips), maker, variant)
            self._known[name] = path
        return self._known[name]

    def path(self, maker: Maker, variant: int = 0) -> Path:
        """Return where the views of a maker are kept, or will be."""
        return self.folder / f"{_sha256({**self._common, **maker.key(), 'variant': variant})[:32]}.npz"

    @property
    def digest(self) -> str:
        """Sha256 over the clips, the model, and what views are."""
        return _sha256(self._common)

    def waveforms(self, first: int) -> list[Heard]:
        """Read a batch of clips from the first one on."""
        found = []
        for clip in self.clips[first : first + BATCH]:
            sound, rate = self.read(clip.where)
            found.append(Heard(clip, to_model(sound, rate)))
        return found

    def _make(self, maker: Maker, variant: int, on_clips: Callable[[int], None] | None) -> Views:
        embeddings, log_mels, made = [], [], []
        for first in range(0, len(self.clips), BATCH):
            batch = maker.make(self.waveforms(first), variant)
            for embedding, log_mel in self._hear_all([each.waveform for each in batch]):
                embeddings.append(embedding)
                log_mels.append(log_mel)
            made += [(each.label, each.snr_db) for each in batch]
            if on_clips:
                on_clips(len(batch))
        labels, snr_db = zip(*made, strict=True)
        return Views(np.stack(embeddings), np.stack(log_mels), np.array(labels), np.array(snr_db, np.float32))

    def _hear_all(self, waveforms: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        by_length: dict[int, list[int]] = {}
        for place, waveform in enumerate(waveforms):
            by_length.setdefault(padded_length(len(waveform)), []).append(place)
        for places in by_length.values():
            batch, lengths = pad_batch([waveforms[place] for place in places])
            embeddings, log_mels = self._hear(batch, patch_count(lengths).astype(np.int32))
            for place, embedding, log_mel, length in zip(
                places, embeddings.numpy(), log_mels.numpy(), lengths, strict=True
            ):
                own = log_mel[: max(1, int(length) // (160 * POOL))]
                found[place] = embedding, np.resize(own, (FRAMES, own.shape[1]))
        return [found[place] for place in range(len(waveforms))]

    def _features(self, waveforms: tf.Tensor, counts: tf.Tensor) -> Any:
        found = self.model.activations(waveforms, ("embeddings", "log_mel"))
        pooled = tf.nn.avg_pool1d(found["log_mel"], POOL, POOL, "VALID")  # [batch, frames, 64]
        return mean_over_patches(found["embeddings"], counts), pooled


def _sha256(value: Any) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _write(path: Path, views: Views, maker: Maker, variant: int) -> None:
    partial = path.with_suffix(".partial")
    with open(partial, "wb") as file:
        about = json.dumps({**maker.key(), "variant": variant})
        np.savez(
            file,
            embeddings=views.embeddings,
            log_mels=views.log_mels.astype(np.float16),
            labels=views.labels,
            snr_db=views.snr_db,
            about=np.array(about),
        )
    os.replace(partial, path)


def _read(path: Path) -> Views:
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
        log_mels = stored["log_mels"].astype(np.float32)
        return Views(stored["embeddings"], log_mels, stored["labels"], stored["snr_db"])


def _read_field(path: Path, name: str) -> np.ndarray:
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
        return stored[name]
