"""What the small classifiers share: the order of examples, and Adam in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

Predict = Callable[[np.ndarray], np.ndarray]
"""Takes features [clips, ...] and returns logits [clips, classes]."""

Fit = Callable[[np.ndarray, np.ndarray, int], Predict]
"""Learns from features [examples, ...], soft labels [examples, classes] and a seed."""


class Adam:
    """Adam with decoupled weight decay and a rate that falls to zero as a half cosine."""

    def __init__(self, weights: list[np.ndarray], rate: float, decay: float, steps: int):
        self._weights, self._rate, self._decay, self._steps, self._done = weights, rate, decay, steps, 0
        self._first, self._second = ([np.zeros_like(each) for each in weights] for _ in range(2))

    def step(self, gradients: list[np.ndarray]) -> None:
        """Change the weights in place."""
        rate = self._rate * 0.5 * (1 + np.cos(np.pi * self._done / self._steps))
        self._done += 1
        for value, gradient, first, second in zip(self._weights, gradients, self._first, self._second, strict=True):
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient**2 - second)
            direction = first / (1 - 0.9**self._done) / (np.sqrt(second / (1 - 0.999**self._done)) + 1e-8)
            value -= (rate * (direction + (self._decay * value if value.ndim > 1 else 0))).astype(value.dtype)


def draw_batches(count: int, size: int, steps: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Give the rows of each step: shuffled examples, whose numbers of uses differ by one at most."""
    order = np.empty(0, np.int64)
    for _ in range(steps):
        while len(order) < size:
            order = np.concatenate([order, rng.permutation(count)])
        yield order[:size]
        order = order[size:]
