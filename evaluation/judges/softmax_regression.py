"""Multinomial logistic regression by L-BFGS, for linear heads on YAMNet's embeddings.

The penalised objective is strictly convex in the weights: there is one solution, whatever the order of the examples.
"""

from __future__ import annotations

import numpy as np
import scipy.optimize
import scipy.special


def standardise(features: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Centre features [examples, size] and divide them by one scale, the root of the mean of |e - mean|^2.

    Returns:
        The scaled features as float64 [examples, size], the mean [size] and the scale.
    """
    features = np.asarray(features, np.float64)
    mean = features.mean(axis=0)
    scale = float(np.sqrt(np.mean(np.sum((features - mean) ** 2, axis=1)))) or 1.0
    return (features - mean) / scale, mean, scale


def fit_softmax(
    features: np.ndarray, labels: np.ndarray, penalty: float, *, divisor: int = 1, **options: float
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise sum_i H(labels_i, softmax(W x_i + b)) / divisor + penalty |W|^2 / 2, with H the cross entropy.

    Features are float64 [examples, size]; each row of labels [examples, classes] is a distribution. The options are
    scipy's for L-BFGS-B. Returns weights [size, classes] and biases [classes], float64.
    """
    count = labels.shape[1]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(-1, count)
        logits = features @ weights[:-1] + weights[-1]
        losses = scipy.special.logsumexp(logits, axis=1) - np.sum(labels * logits, axis=1)
        error = (scipy.special.softmax(logits, axis=1) - labels) / divisor
        gradient = np.concatenate([features.T @ error + penalty * weights[:-1], error.sum(axis=0, keepdims=True)])
        return float(np.sum(losses) / divisor + penalty / 2 * np.sum(weights[:-1] ** 2)), gradient.ravel()

    start = np.zeros((features.shape[1] + 1) * count)
    found = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    weights = found.x.reshape(-1, count)
    return weights[:-1], weights[-1]
