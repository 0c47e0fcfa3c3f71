"""Fréchet audio distance: hand-worked in one dimension, held to scipy's matrix root in more."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg

from evaluation.metrics.frechet import GRID, Sums, distance, enough

RNG = np.random.default_rng(0)


def embeddings(n: int, size: int, mean: float = 0.3, spread: float = 0.5) -> np.ndarray:
    mixed = RNG.normal(size=(n, size)) @ RNG.normal(size=(size, size)) / math.sqrt(size)
    return np.abs(mean + spread * mixed).astype(np.float32)


def test_in_one_dimension_it_is_the_distance_of_means_and_deviations() -> None:
    first, second = np.array([[1.0], [2.0], [3.0]]), np.array([[5.0], [9.0]])  # deviations 1 and 2 sqrt 2
    expected = (2 - 7) ** 2 + (1 - 2 * math.sqrt(2)) ** 2
    assert distance(Sums.of(first), Sums.of(second)) == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore:Matrix is singular")  # of 40 in 64 dimensions it is
@pytest.mark.parametrize("n", [500, 40])
def test_it_is_what_scipys_matrix_root_gives(n: int) -> None:
    first, second = embeddings(n, 64), embeddings(n + 7, 64, mean=0.5)
    c, d = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    root = scipy.linalg.sqrtm(c @ d)
    apart = np.sum((first.mean(axis=0, dtype=np.float64) - second.mean(axis=0, dtype=np.float64)) ** 2)
    expected = apart + np.trace(c) + np.trace(d) - 2 * np.trace(root).real
    assert distance(Sums.of(first), Sums.of(second)) == pytest.approx(expected, abs=2e-3)
    assert enough(Sums.of(first)) == (n > 64)


@pytest.mark.parametrize("n", [300, 20])
def test_a_set_is_at_no_distance_from_itself(n: int) -> None:
    sums = Sums.of(embeddings(n, 64))
    assert distance(sums, sums) == pytest.approx(0, abs=1e-9)


def test_it_is_the_same_both_ways() -> None:
    first, second = Sums.of(embeddings(100, 32)), Sums.of(embeddings(80, 32, mean=0.1))
    assert distance(first, second) == pytest.approx(distance(second, first))


def test_sums_are_the_same_bits_in_any_order() -> None:
    whole = embeddings(5000, 16, mean=3.0)
    forward = Sums.of(whole)
    pieces = [Sums.of(whole[start : start + 37]) for start in range(0, len(whole), 37)]
    RNG.shuffle(pieces)  # type: ignore[arg-type]
    added = pieces[0]
    for piece in pieces[1:]:
        added = added + piece
    assert added.n == forward.n
    np.testing.assert_array_equal(added.total, forward.total)
    np.testing.assert_array_equal(added.products, forward.products)


def test_the_grid_moves_no_embedding_by_more_than_half_of_it() -> None:
    one = embeddings(1, 64)
    assert np.max(np.abs(Sums.of(one).mean - one[0])) <= GRID / 2
    np.testing.assert_array_equal(Sums.of(one).covariance, np.zeros((64, 64)))


def test_an_empty_set_has_no_distance() -> None:
    assert math.isnan(distance(Sums.of(np.empty((0, 4))), Sums.of(embeddings(9, 4))))
