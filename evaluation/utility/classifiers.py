"""Classifiers that learn from examples with soft labels, to see what examples are worth.

`linear` and `mlp` take a clip's mean YAMNet embedding, `cnn` its log-mel spectrogram, from scratch. All are small: a
training takes from a tenth of a second to a minute. Each is the same for every set of examples, with the same number of
steps, and is drawn from a seed alone. To add one, write the function and list it in `CLASSIFIERS`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.optimize
import scipy.special

from evaluation.utility import cnn
from evaluation.utility.adam import Adam, Fit, Predict, draw_batches


@dataclass(frozen=True)
class Classifier:
    """A kind of classifier.

    Attributes:
        title: for tables.
        takes: which field of `evaluation.utility.views.Views` it learns from.
        fit: learns.
        about: what shapes it, for the record; another text is another classifier.
        examples: of each clip that it learns from, beside the clip itself; how many are worth it.
        drawn: the seed shapes it, too.
    """

    title: str
    takes: str
    fit: Fit
    about: str
    examples: int = 4
    drawn: bool = True


LINEAR_PENALTY = 1e-4
"""Of half the squared weights, beside the mean of the examples' losses, of embeddings scaled to a mean square of 1."""

MLP_UNITS, MLP_STEPS, MLP_BATCH, MLP_RATE, MLP_DECAY = 64, 300, 64, 2e-3, 1e-2


def fit_linear(features: np.ndarray, labels: np.ndarray, seed: int) -> Predict:
    """Fit multinomial logistic regression by L-BFGS.

    Minimises mean_i H(labels_i, softmax(W u_i + b)) + `LINEAR_PENALTY` |W|^2 / 2, H the cross entropy, with
    u = (e - mean) / scale, the scale one number for all dimensions. The solution is unique, so the seed does nothing;
    its weights lie in the span of the examples, in which they are sought where these are fewer than dimensions.
    """
    del seed
    given = np.asarray(features, np.float64)
    middle = given.mean(axis=0)
    scale = float(np.sqrt(np.mean(np.sum((given - middle) ** 2, axis=1)))) or 1.0
    unit, count = (given - middle) / scale, labels.shape[1]
    span = np.linalg.qr(unit.T)[0] if len(unit) < unit.shape[1] else np.eye(unit.shape[1])
    unit = unit @ span

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(-1, count)
        logits = unit @ weights[:-1] + weights[-1]
        value = np.mean(scipy.special.logsumexp(logits, axis=1) - np.sum(labels * logits, axis=1))
        off = (scipy.special.softmax(logits, axis=1) - labels) / len(unit)
        gradient = np.concatenate([unit.T @ off + LINEAR_PENALTY * weights[:-1], off.sum(axis=0, keepdims=True)])
        return float(value + LINEAR_PENALTY / 2 * np.sum(weights[:-1] ** 2)), gradient.ravel()

    start = np.zeros((unit.shape[1] + 1) * count)
    found = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500, "gtol": 1e-6})
    weights = found.x.reshape(-1, count)
    slopes = span @ weights[:-1]
    return lambda features: (features - middle) / scale @ slopes + weights[-1]


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
    "cnn": Classifier(
        "CNN on log-mels, from scratch",
        "log_mels",
        cnn.fit_cnn,
        cnn.ABOUT,
        examples=16,
    ),
}
"""The classifiers by name."""
