"""The TF-Hub graph of YAMNet as a judge: untouched, as Google published it."""

from __future__ import annotations

import functools
import os
import threading

import numpy as np

from augment.models import weights
from augment.sound.samples import SAMPLE_RATE
from augment.targets.classes import ClassList, yamnet_classes
from evaluation.judges.judge import Judgement


class YamnetGraph:
    """The TF-Hub graph of YAMNet, clip by clip.

    Attributes:
        classes: the 521 classes, in the order of the scores.
        sample_rate: Hz, of the waveforms that it takes.
        name: yamnet.
        identity: sha256 of its weights.
    """

    classes: ClassList
    sample_rate = SAMPLE_RATE
    name = "yamnet"

    def __init__(self, path: str | os.PathLike[str] | None = None):
        """Load the graph.

        Args:
            path: a SavedModel folder or TF-Hub handle; None looks in the usual places (`augment.models.weights`).

        Raises:
            WeightsError: there is no graph.
        """
        found = weights.resolve_weights(path)
        self._graph = weights.load_graph(found)
        self.identity = weights.identity(weights.load_variables(found))
        self.classes = yamnet_classes()

    def judge(self, waveform: np.ndarray) -> Judgement:
        """Score a waveform, float32 [samples] at 16 kHz."""
        scores, embeddings, _ = self._graph(np.asarray(waveform, np.float32))
        return Judgement(scores.numpy().mean(axis=0), embeddings.numpy())


_loading = threading.Lock()


def shared_yamnet(path: str | None = None) -> YamnetGraph:
    """Load the graph once for the whole process, however many judges take its embeddings.

    Raises:
        WeightsError: there is no graph.
    """
    with _loading:
        return _load_graph(path)


@functools.lru_cache(maxsize=1)
def _load_graph(path: str | None) -> YamnetGraph:
    return YamnetGraph(path)
