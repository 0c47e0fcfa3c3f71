"""The interface of models: what the ascent asks of a model, and how one is named as data.

`AudioModel` is all that the ascent asks; `ModelSpec` names a model, and `augment.models.model_kinds.load_model` loads
it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from augment.sound.samples import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE
from augment.targets.classes import ClassList

INPUTS = ("auto", "waveform", "embeddings")
"""What a model may take; auto decides by the shape of its input."""


RATES = (MIN_SAMPLE_RATE, MAX_SAMPLE_RATE)
"""Hz, of a model."""


class AudioModel(Protocol):
    """What is dreamed through: a batched, differentiable function of waveforms.

    Attributes:
        name: for provenance and messages.
        identity: sha256 of what decides its scores: weights, classes, how it reads a clip.
        classes: in the order of the scores.
        sample_rate: Hz, of the waveforms that it takes.
        layers: names that `activations` knows; ``logits`` and ``scores`` are among them.
        link: how logits make a clip's scores: "sigmoid" (the mean over patches of the sigmoids) or "softmax" (of the
            mean over patches).
    """

    @property
    def name(self) -> str: ...  # noqa: D102  described above

    @property
    def identity(self) -> str: ...  # noqa: D102

    @property
    def classes(self) -> ClassList: ...  # noqa: D102

    @property
    def sample_rate(self) -> int: ...  # noqa: D102

    @property
    def layers(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def link(self) -> str: ...  # noqa: D102

    def patch_count(self, samples: Any) -> Any:
        """Return the number of patches of clips of these lengths: at least 1. Takes ints and arrays."""
        ...

    def padded_length(self, samples: int) -> int:
        """Return the samples that a clip is padded to; it depends on the clip's own length alone."""
        ...

    def batch_limit(self, samples: int) -> int:
        """Return how many clips of a padded length fit into memory at once, at least 1."""
        ...

    def activations(self, waveforms: tf.Tensor, layers: Collection[str]) -> dict[str, tf.Tensor]:
        """Return layers of waveforms [batch, samples] by name, each [batch, patches, ...]; gradients pass through.

        ``logits`` and ``scores`` are [batch, patches, classes].
        """
        ...

    def scores(self, waveforms: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return the clips' scores, float32 [batch, classes] in [0, 1], of waveforms padded as `padded_length` says."""
        ...

    def clip_scores(self, waveform: np.ndarray) -> np.ndarray:
        """Return the scores [classes] of one clip [samples] of any length."""
        ...


@dataclass(frozen=True)
class ModelSpec:
    """Which model is wanted.

    Attributes:
        path: yamnet, crnn, the folder of a SavedModel, a ``.keras`` or ``.h5`` file, or a ``head.npz``.
        classes: file of its classes' names, in the order of the scores (`augment.models.model_files`), or the names.
        sample_rate: Hz, of its input.
        window_seconds: length of its windows; None: that of its input, or the whole clip.
        hop_seconds: from one window to the next; None: windows follow each other.
        input: one of `INPUTS`.
    """

    path: str = "yamnet"
    classes: str | tuple[str, ...] | None = None
    sample_rate: int | None = None
    window_seconds: float | None = None
    hop_seconds: float | None = None
    input: str = "auto"
