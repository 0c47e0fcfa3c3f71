"""Views: clips as they are, corrupted, augmented or dreamed, and the features that classifiers take of them.

A view is made once from the clip at 16 kHz, mono. A `ViewStore` keeps the features of each set of views in a file: the
mean of YAMNet's embeddings, and a log-mel spectrogram. The file is named by a hash of everything that shaped the views,
so training sets share them, and a stopped run continues with them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from augment.ascent.loop import pad_batch
from augment.determinism import draws
from augment.models.yamnet import DreamingModel, mean_over_patches, padded_length, patch_count
from augment.recipes.recipe import canonical_json
from augment.sound.resampling import to_model
from augment.sound.samples import SAMPLE_RATE
from evaluation.utility.corruptions import find_corruption
from evaluation.utility.folds import Clip

VERSION = 1
"""Of the views and their files."""

POOL = 4
"""Frames of YAMNet's log-mel (10 ms) that are averaged into one."""

FRAMES = 124
"""Averaged frames of a log-mel: 5 s. A longer one is cut, a shorter one repeated."""

BATCH = 16
"""Clips in memory at once."""

ReadClip = Callable[[Mapping[str, Any]], tuple[np.ndarray, int]]
"""Reads a clip by its ``where``: float32 [samples, channels], and its Hz."""


@dataclass(frozen=True, eq=False)
class LoadedClip:
    """A clip with its waveform, float32 [samples], mono at 16 kHz."""

    clip: Clip
    waveform: np.ndarray


@dataclass(frozen=True, eq=False)
class View:
    """One view of a clip.

    Attributes:
        waveform: float32 [samples] at 16 kHz.
        label: of a dream's target, if that is one of the labels; else the clip's.
        snr_db: against the clip; infinite if nothing changed.
    """

    waveform: np.ndarray
    label: str
    snr_db: float = float("inf")


class ViewMaker(Protocol):
    """A way of making views."""

    def key(self) -> dict[str, Any]:
        """Return everything that shapes the views, as plain data."""
        ...

    def make(self, clips: Sequence[LoadedClip], variant: int) -> list[View]:
        """Make a view of each clip; variants differ."""
        ...


@dataclass(frozen=True)
class Original:
    """The clips, unchanged."""

    def key(self) -> dict[str, Any]:
        """Return everything that shapes the views."""
        return {"kind": "original"}

    def make(self, clips: Sequence[LoadedClip], variant: int) -> list[View]:
        """Return the clips."""
        del variant
        return [View(each.waveform, each.clip.label) for each in clips]


@dataclass(frozen=True)
class Corrupted:
    """The clips after one of `evaluation.utility.corruptions.CORRUPTIONS`, drawn from a seed."""

    name: str
    seed: int

    def key(self) -> dict[str, Any]:
        """Return everything that shapes the views."""
        return {"kind": "corruption", "name": self.name, "seed": self.seed}

    def make(self, clips: Sequence[LoadedClip], variant: int) -> list[View]:
        """Corrupt the clips."""
        apply, found = find_corruption(self.name).apply, []
        for each in clips:
            number = draws.draw(self.seed, each.clip.id, variant, self.name)
            found.append(View(apply(each.waveform, SAMPLE_RATE, number), each.clip.label))
        return found


@dataclass
class ViewStore:
    """The features of views of the same clips, in a folder.

    A file holds, in the order of the clips: embeddings, float32 [clips, 1024], the mean over a view's patches;
    log_mels, float16 [clips, `FRAMES`, 64]; labels and snr_db, [clips], of `View`.

    Attributes:
        clips: all of them.
        read: reads one.
        model: YAMNet, which computes the features.
        folder: of the files.
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
        shapes = [tf.TensorSpec([None, None]), tf.TensorSpec([None], tf.int32)]
        self._features = tf.function(self._compute, input_signature=shapes)

    def features(self, maker: ViewMaker, name: str, variant: int = 0) -> np.ndarray:
        """Return one of the arrays of the views' file, which is made if it is missing.

        Embeddings (4 kB a view) stay in memory; log-mels (16 kB) are read every time, as float32.
        """
        path = self.prepare(maker, variant)
        if path.name in self._embeddings and name == "embeddings":
            return self._embeddings[path.name]
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            values = stored[name]
        if name == "embeddings":
            self._embeddings[path.name] = values
        return values.astype(np.float32) if name == "log_mels" else values

    def prepare(self, maker: ViewMaker, variant: int, on_clips: Callable[[int], None] | None = None) -> Path:
        """Make the views of all clips, unless their file exists; return the file.

        Args:
            maker: makes them.
            variant: of the maker's.
            on_clips: called with the number of finished clips.
        """
        name = canonical_json({**maker.key(), "variant": variant})
        if name not in self._known:
            path = self.path(maker, variant)
            if not path.exists():
                about = np.array(json.dumps({**maker.key(), "variant": variant}))
                partial = path.with_suffix(".partial")
                with open(partial, "wb") as file:
                    np.savez(file, **self._make(maker, variant, on_clips), about=about)
                os.replace(partial, path)
            self._known[name] = path
        return self._known[name]

    def path(self, maker: ViewMaker, variant: int = 0) -> Path:
        """Return the file of a maker's views, which may not exist yet."""
        return self.folder / f"{_sha256({**self._common, **maker.key(), 'variant': variant})[:32]}.npz"

    @property
    def digest(self) -> str:
        """Sha256 over the clips, the model, and the version of views."""
        return _sha256(self._common)

    def _make(self, maker: ViewMaker, variant: int, on_clips: Callable[[int], None] | None) -> dict[str, Any]:
        features, views = [], []
        for first in range(0, len(self.clips), BATCH):
            clips = self.clips[first : first + BATCH]
            loaded = [LoadedClip(clip, to_model(*self.read(clip.where))) for clip in clips]
            batch = maker.make(loaded, variant)
            features += self._features_of([each.waveform for each in batch])
            views += [(each.label, each.snr_db) for each in batch]
            if on_clips:
                on_clips(len(batch))
        embeddings, log_mels = zip(*features, strict=True)
        labels, snr_db = zip(*views, strict=True)
        return {
            "embeddings": np.stack(embeddings),
            "log_mels": np.stack(log_mels).astype(np.float16),
            "labels": np.array(labels),
            "snr_db": np.array(snr_db, np.float32),
        }

    def _features_of(self, waveforms: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for places in group(padded_length(len(each)) for each in waveforms):
            batch, lengths = pad_batch([waveforms[place] for place in places])
            embeddings, log_mels = self._features(batch, patch_count(lengths).astype(np.int32))
            rows = zip(places, embeddings.numpy(), log_mels.numpy(), lengths, strict=True)
            for place, embedding, log_mel, length in rows:
                own = log_mel[: max(1, int(length) // (160 * POOL))]
                found[place] = embedding, np.resize(own, (FRAMES, own.shape[1]))
        return [found[place] for place in range(len(waveforms))]

    def _compute(self, waveforms: tf.Tensor, counts: tf.Tensor) -> Any:
        found = self.model.activations(waveforms, ("embeddings", "log_mel"))
        pooled = tf.nn.avg_pool1d(found["log_mel"], POOL, POOL, "VALID")  # [batch, frames, 64]
        return mean_over_patches(found["embeddings"], counts), pooled


def group(keys: Iterable[Hashable]) -> list[list[int]]:
    """Return the positions of equal keys together, in the order of their first appearance."""
    found: dict[Hashable, list[int]] = {}
    for position, key in enumerate(keys):
        found.setdefault(key, []).append(position)
    return list(found.values())


def _sha256(value: Any) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
