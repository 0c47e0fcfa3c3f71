"""Judges: what scores the outputs. A judge is never the model that dreamed them.

A judge takes one mono waveform at its own sample rate and gives its scores. `YamnetGraph` is the TF-Hub graph as
Google published it, untouched: the same weights as the dreaming model, through other code.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from augment import weights
from augment.classes import ClassList, yamnet_classes
from augment.yamnet import SAMPLE_RATE


@dataclass(frozen=True)
class Judgement:
    """What a judge says of one clip.

    Attributes:
        scores: float32 [classes], the mean over its patches.
        embeddings: float32 [1024], the mean over its patches.
    """

    scores: np.ndarray
    embeddings: np.ndarray


class YamnetGraph:
    """The TF-Hub graph of YAMNet, clip by clip.

    Attributes:
        classes: the 521 classes, in the order of the scores.
        sample_rate: Hz, of the waveforms that it takes.
    """

    classes: ClassList
    sample_rate = SAMPLE_RATE

    def __init__(self, path: str | os.PathLike[str] | None = None):
        """Load the graph.

        Args:
            path: a SavedModel folder or TF-Hub handle; None looks in the usual places (`augment.weights`).

        Raises:
            WeightsError: there is no graph.
        """
        self._graph = weights.load_graph(weights.resolve_weights(path))
        self.classes = yamnet_classes()

    def judge(self, waveform: np.ndarray) -> Judgement:
        """Score a waveform, float32 [samples] at 16 kHz."""
        scores, embeddings, _ = self._graph(np.asarray(waveform, np.float32))
        return Judgement(scores.numpy().mean(axis=0), embeddings.numpy().mean(axis=0))
