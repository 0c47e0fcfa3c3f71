"""Linear heads on YAMNet: a classifier of one's own labels from few recordings, as fitted and as judge.

A head is multinomial logistic regression on the mean embedding of a clip (`augment.models.heads.Head`): transfer
learning as in Plakal & Ellis's YAMNet and in Tsalera et al. 2021. It is fitted by L-BFGS on all clips at once: the
penalised objective is strictly convex in the weights, so that there is one solution, whatever the order of the clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.optimize
import scipy.special

from augment.models.heads import EMBEDDING, Head, load_head, save_head
from augment.models.model_files import named_classes
from augment.sound.samples import SAMPLE_RATE
from augment.targets.classes import ClassList
from evaluation.judges.judge import JudgeError, Judgement, JudgeSpec, as_judge
from evaluation.judges.yamnet_graph import shared_yamnet

__all__ = ["PENALTY", "HeadJudge", "fit_head", "load_head", "load_head_judge", "save_head"]

PENALTY = 0.01
"""Of the squared weights, beside the sum of the clips' losses, of embeddings that are scaled to a mean square of 1.

Of ESC-10's folds 1 and 2, each head tried on the other fold: 1 gives 84 and 87 % right, 0.1 94 and 91, 0.01 96 and 94,
0.001 95 and 95."""

_ITERATIONS = 2000


def fit_head(embeddings: np.ndarray, labels: Sequence[str]) -> Head:
    """Fit a head.

    Minimises sum_i -log softmax(W u_i + b)[y_i] + (PENALTY / 2) |W|^2 with u = (e - mean) / scale, the scale one number
    for all dimensions (the root of the mean of |e - mean|^2), and folds mean and scale into the weights that it gives.

    Args:
        embeddings: float [clips, 1024], the mean over each clip's patches.
        labels: [clips].

    Raises:
        JudgeError: there are fewer than two labels.
    """
    names = tuple(sorted(set(labels)))
    if len(names) < 2:
        raise JudgeError(f"a head needs two labels or more to tell apart; the training clips have {len(names)}")
    order = np.lexsort((*np.asarray(embeddings, np.float64).T[:1], np.asarray(labels)))  # sums round by their order
    given = np.asarray(embeddings, np.float64)[order]
    truth = np.array([names.index(labels[index]) for index in order])
    middle = given.mean(axis=0)
    scale = float(np.sqrt(np.mean(np.sum((given - middle) ** 2, axis=1)))) or 1.0
    unit = (given - middle) / scale
    hot = np.eye(len(names))[truth]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(EMBEDDING + 1, len(names))
        logits = unit @ weights[:-1] + weights[-1]
        value = np.sum(scipy.special.logsumexp(logits, axis=1) - logits[np.arange(len(truth)), truth])
        off = scipy.special.softmax(logits, axis=1) - hot
        gradient = np.concatenate([unit.T @ off + PENALTY * weights[:-1], off.sum(axis=0, keepdims=True)])
        return float(value + PENALTY / 2 * np.sum(weights[:-1] ** 2)), gradient.ravel()

    start = np.zeros((EMBEDDING + 1) * len(names))
    options = {"maxiter": _ITERATIONS, "maxfun": 2 * _ITERATIONS, "ftol": 1e-14, "gtol": 1e-7}
    found = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    weights = found.x.reshape(EMBEDDING + 1, len(names))
    kernel = weights[:-1] / scale
    bias = weights[-1] - middle @ kernel
    return Head(kernel.astype(np.float32), (bias - bias.mean()).astype(np.float32), names)


class HeadJudge:
    """A head as a judge: softmax of the head's logits of the mean embedding of YAMNet's TF-Hub graph.

    Attributes:
        name: of the file.
        identity: of the head.
        classes: the head's.
        sample_rate: Hz.
    """

    sample_rate = SAMPLE_RATE

    def __init__(self, head: Head, spec: JudgeSpec):
        """Put a head on the graph."""
        self.head, self.name, self.identity = head, Path(spec.judge).stem, head.identity
        self.classes: ClassList = named_classes(list(head.names))
        self._yamnet = shared_yamnet(spec.weights)

    def judge(self, waveform: np.ndarray) -> Judgement:
        """Score a waveform, float32 [samples] at 16 kHz."""
        embeddings = self._yamnet.judge(waveform).embeddings
        assert embeddings is not None
        return Judgement(self.head.scores(embeddings.mean(axis=0, dtype=np.float64)), embeddings)


def load_head_judge(spec: JudgeSpec) -> HeadJudge:
    """Load the head that a specification names.

    Raises:
        JudgeError: the file holds none.
    """
    with as_judge():
        return HeadJudge(load_head(spec.judge), spec)
