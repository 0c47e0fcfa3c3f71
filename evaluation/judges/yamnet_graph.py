"""The TF-Hub graph of YAMNet as a judge: untouched, as Google published it."""

from __future__ import annotations

import functools
import os
import threading

import numpy as np

from augment.models import weights
from augment.sound.samples import SAMPLE_RATE
from augment.targets.classes import ClassList, yamnet_classes
from evaluation.judges.judge import Judgement, JudgeSpec


class YamnetGraph:
    """The TF-Hub graph of YAMNet, clip by clip; the attributes are those of `evaluation.judges.judge.Judge`."""

    classes: ClassList
    sample_rate = SAMPLE_RATE
    name = "yamnet"

    def __init__(self, path: str | os.PathLike[str] | None = None):
        """Load the graph from a SavedModel folder or TF-Hub handle; None looks in the usual places.

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

    def embed(self, waveform: np.ndarray) -> np.ndarray:
        """Return a waveform's embeddings, float32 [patches, 1024]."""
        return self._graph(np.asarray(waveform, np.float32))[1].numpy()


_loading = threading.Lock()


def shared_yamnet(path: str | None = None) -> YamnetGraph:
    """Load the graph once for the whole process, however many judges need its embeddings.

    Raises:
        WeightsError: there is no graph.
    """
    with _loading:
        return _load_graph(path)


_load_graph = functools.lru_cache(maxsize=1)(YamnetGraph)


def load_yamnet(spec: JudgeSpec) -> YamnetGraph:
    """Load the graph that a specification names."""
    return shared_yamnet(spec.weights)
