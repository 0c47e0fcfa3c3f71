"""Classifiers that learn from examples with soft labels, to measure what the examples are worth.

`linear` and `mlp` take a clip's mean YAMNet embedding, `cnn` its log-mel spectrogram, from scratch. All are small: a
training takes from a tenth of a second to a minute, with the same number of steps for every set of examples, and all
randomness comes from a seed. To add one, write the function and list it in `CLASSIFIERS`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.special

from evaluation.judges.softmax_regression import fit_softmax, standardise
from evaluation.utility import cnn
from evaluation.utility.adam import Adam, Fit, Predict, draw_batches


@dataclass(frozen=True)
class Classifier:
    """A kind of classifier.

    Attributes:
        title: for tables.
        takes: the features that it learns from (`evaluation.utility.views.ViewStore`).
        fit: learns.
        about: its settings; another text is another classifier.
        examples: of each clip, beside the clip itself.
        drawn: it depends on the seed.
    """

    title: str
    takes: str
    fit: Fit
    about: str
    examples: int = 4
    drawn: bool = True


LINEAR_PENALTY = 1e-4
"""Of half the squared weights, beside the mean of the examples' losses, for embeddings with a mean square of 1."""

MLP_UNITS, MLP_STEPS, MLP_BATCH, MLP_RATE, MLP_DECAY = 64, 300, 64, 2e-3, 1e-2


def fit_linear(features: np.ndarray, labels: np.ndarray, seed: int) -> Predict:
    """Fit multinomial logistic regression on standardised features (`evaluation.judges.softmax_regression`).

    The solution is unique, so the seed has no effect. Its weights lie in the span of the examples; with fewer examples
    than dimensions it is sought there.
    """
    del seed
    unit, mean, scale = standardise(features)
    span = np.linalg.qr(unit.T)[0] if len(unit) < unit.shape[1] else np.eye(unit.shape[1])
    options = {"maxiter": 500, "gtol": 1e-6}
    weights, bias = fit_softmax(unit @ span, labels, LINEAR_PENALTY, divisor=len(unit), **options)
    slopes = span @ weights
    return lambda features: (features - mean) / scale @ slopes + bias


def fit_mlp(features: np.ndarray, labels: np.ndarray, seed: int) -> Predict:
    """Fit one hidden layer of rectified units with Adam and weight decay, in NumPy."""
    rng = np.random.default_rng(seed)
    middle, spread = features.mean(axis=0), float(features.std(axis=0).mean()) or 1.0
    unit = ((features - middle) / spread).astype(np.float32)
    size, count = unit.shape[1], labels.shape[1]
    weights = [
        rng.normal(0, np.sqrt(2 / size), (size, MLP_UNITS)).astype(np.float32),
        np.zeros(MLP_UNITS, np.float32),
        rng.normal(0, np.sqrt(1 / MLP_UNITS), (MLP_UNITS, count)).astype(np.float32),
        np.zeros(count, np.float32),
    ]
    adam = Adam(weights, MLP_RATE, MLP_DECAY, MLP_STEPS)
    for rows in draw_batches(len(unit), MLP_BATCH, MLP_STEPS, rng):
        hidden = np.maximum(unit[rows] @ weights[0] + weights[1], 0)
        off = (scipy.special.softmax(hidden @ weights[2] + weights[3], axis=1) - labels[rows]) / len(rows)
        back = (off @ weights[2].T) * (hidden > 0)
        adam.step([unit[rows].T @ back, back.sum(axis=0), hidden.T @ off, off.sum(axis=0)])

    def predict(features: np.ndarray) -> np.ndarray:
        hidden = np.maximum((features - middle) / spread @ weights[0] + weights[1], 0)
        return hidden @ weights[2] + weights[3]

    return predict


CLASSIFIERS: dict[str, Classifier] = {
    "linear": Classifier(
        "linear head on YAMNet's embeddings",
        "embeddings",
        fit_linear,
        f"logistic regression, penalty {LINEAR_PENALTY:g}",
        drawn=False,
    ),
    "mlp": Classifier(
        "MLP on YAMNet's embeddings",
        "embeddings",
        fit_mlp,
        f"{MLP_UNITS} units, {MLP_STEPS} steps of {MLP_BATCH}, rate {MLP_RATE:g}, decay {MLP_DECAY:g}",
    ),
    "cnn": Classifier("CNN on log-mels, from scratch", "log_mels", cnn.fit_cnn, cnn.ABOUT, examples=16),
}
"""The classifiers by name."""
