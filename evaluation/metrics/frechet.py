"""Fréchet audio distance: how far all outputs are from all originals.

Both sets of YAMNet's patch embeddings count as normal distributions, with means m, n and covariances C, D:

    FAD = |m − n|² + tr C + tr D − 2 tr (C D)^(1/2)

tr (C D)^(1/2) is the sum of the singular values of R'S, where C = R R' and D = S S' are pivoted Cholesky factors up to
the matrix's rank. No root of an asymmetric matrix is needed: nothing turns complex, few patches take little time, and
equal distributions give 0 to rounding.

A covariance of d = 1024 dimensions has full rank only with more than d patches; with fewer the distance is biased
upward, and figures of different sample sizes cannot be compared (`enough`).

`Sums` of embeddings are kept on a grid: embeddings are rounded to multiples of 2^-12, so the sums are integers below
2^53 in units of the grid, and every order of addition gives the same bits.

Source: Kilgour, Zuluaga, Roblek & Sharifi, "Fréchet Audio Distance", Interspeech 2019 (on VGGish's embeddings; here it
is YAMNet's); Dowson & Landau 1982 for the distance of normal distributions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import lapack

GRID = 2.0**-12
"""Step of rounded embeddings, which reach about 10."""


@dataclass(frozen=True, eq=False)
class Sums:
    """Number, sum [d] and sum of outer products [d, d] of embeddings, float64 in units of `GRID`."""

    n: int
    total: np.ndarray
    products: np.ndarray

    @classmethod
    def of(cls, embeddings: np.ndarray) -> Sums:
        """Sum up embeddings [n, d]."""
        steps = np.rint(np.asarray(embeddings, np.float64) / GRID)
        return cls(len(steps), steps.sum(axis=0), steps.T @ steps)

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.n + other.n, self.total + other.total, self.products + other.products)

    @property
    def mean(self) -> np.ndarray:
        """The mean, [d]."""
        return GRID * self.total / self.n

    @property
    def covariance(self) -> np.ndarray:
        """The covariance with n − 1 below, [d, d]; zero for a single embedding."""
        spread = self.products - np.outer(self.total, self.total) / self.n
        return GRID**2 * spread / max(1, self.n - 1)


def enough(sums: Sums) -> bool:
    """Return whether there are enough embeddings for a covariance of full rank."""
    return sums.n > len(sums.total)


def distance(first: Sums, second: Sums) -> float:
    """Return the Fréchet distance, at least 0; nan if one of the sets is empty."""
    if not first.n or not second.n:
        return math.nan
    c, d = first.covariance, second.covariance
    shared = float(np.linalg.svd(_root(c).T @ _root(d), compute_uv=False).sum())
    apart = float(np.sum(np.square(first.mean - second.mean)))
    return max(0.0, apart + float(np.trace(c)) + float(np.trace(d)) - 2 * shared)


def _root(covariance: np.ndarray) -> np.ndarray:
    """Return R [d, rank] with covariance R R', up to rounding."""
    library: Any = lapack  # type checkers do not see its functions, which are made on import
    packed, pivots, rank, _ = library.dpstrf(covariance, lower=1)
    factor = np.empty((len(covariance), rank))
    factor[pivots - 1] = np.tril(packed)[:, :rank]
    return factor
