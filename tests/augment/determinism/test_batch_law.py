"""The law of the batch, sampled; `make test-batches` holds every combination to it (tests/support/batch_law.py)."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import Any

import batch_law
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from augment.determinism import row_stable
from augment.models.yamnet import DreamingModel

SAMPLE = [pytest.param(each, id=f"{each['transform']}-{each['objective']}-{each['update']}")
          for each in batch_law.combinations()[::90]]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("recipe", SAMPLE)
def test_a_clip_dreams_the_same_bytes_alone_and_in_every_batch(model: DreamingModel, recipe: dict[str, Any]) -> None:
    assert list(batch_law.breaches(model, recipe, (2, 5, 33), batch_law.LENGTHS[0], hashlib.sha256())) == []


@pytest.mark.slow
def test_the_law_holds_without_avx_512_and_on_any_number_of_threads() -> None:
    found = [batch_law.process("AVX2", threads, (3, 9), 1, 180) for threads in (1, 4)]
    assert [code for code, _ in found] == [0, 0], found
    assert found[0][1] == found[1][1]  # the digests of all dreams


@pytest.mark.slow
def test_the_law_holds_on_the_oldest_processors() -> None:
    code, printed = batch_law.process("SSE41", 2, (5,), 2, 120)
    assert code == 0, printed


def test_every_transform_objective_and_update_rule_is_in_the_law() -> None:
    from augment.recipes.tables import OBJECTIVES, TRANSFORMS, UPDATES

    found = batch_law.combinations()
    for key, table in (("transform", TRANSFORMS), ("objective", OBJECTIVES), ("update", UPDATES)):
        assert {each[key] for each in found} == set(table)
    assert {each["arithmetic"] for each in found} == {"exact", "fast"}
    assert [sum("octaves" in each for each in found) * 2 // len(found)] == [1]


_ORDER = """
import hashlib, os, sys, warnings
switch = "TF_ENABLE_ONEDNN_OPTS"
if sys.argv[1] == "tensorflow first":  # as on a processor without AVX-512, where this is the default
    os.environ[switch] = "0"
    import tensorflow
    del os.environ[switch]
import augment
import numpy as np
with warnings.catch_warnings(record=True) as found:
    warnings.simplefilter("always")
    noise = np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)
    made = augment.dream(noise, 16_000, target="Siren", steps=3, hold=None)
    augment.dream(noise[:100], 16_000, target="Siren", steps=1)
warned = sum("import augment before" in str(each.message) for each in found)
print(hashlib.sha256(made.waveform.tobytes()).hexdigest(), warned)
"""


@pytest.mark.slow
@pytest.mark.skipif(not row_stable.onednn_by_name(), reason="this TensorFlow has no oneDNN that can be called by name")
def test_the_order_of_two_imports_changes_no_byte_and_the_slower_one_is_warned_of_once() -> None:
    orders = ("augment first", "tensorflow first")
    first, second = (
        subprocess.run([sys.executable, "-c", _ORDER, order], capture_output=True, text=True, check=True).stdout.split()
        for order in orders
    )
    assert first[0] == second[0]
    assert (first[1], second[1]) == ("0", "1")


@settings(max_examples=20)
@given(st.integers(1, 9), st.integers(1, 40), st.integers(1, 70), st.integers(1, 50))
def test_dense_is_the_matrix_product_and_its_gradient(batch: int, rows: int, inputs: int, outputs: int) -> None:
    rng = np.random.default_rng(batch * rows)
    values, kernel, weights = (
        rng.normal(size=shape).astype(np.float32)
        for shape in ((batch, rows, inputs), (inputs, outputs), (batch, rows, outputs))
    )
    given_values = tf.constant(values)
    with tf.GradientTape() as tape:
        tape.watch(given_values)
        found = row_stable.dense(given_values, tf.constant(kernel))
    np.testing.assert_allclose(found, values @ kernel, atol=1e-4)
    gradient: Any = tape.gradient(found, given_values, output_gradients=[tf.constant(weights)])
    np.testing.assert_allclose(gradient, weights @ kernel.T, atol=1e-4)


def test_gram_is_the_product_of_all_pairs_of_channels_and_its_gradient() -> None:
    rng = np.random.default_rng(0)
    values, weights = (rng.normal(size=shape).astype(np.float32) for shape in ((3, 40, 7), (3, 7, 7)))
    given_values = tf.constant(values)
    with tf.GradientTape() as tape:
        tape.watch(given_values)
        found = row_stable.gram(given_values)
    np.testing.assert_allclose(found, np.einsum("bnc,bnd->bcd", values, values), atol=1e-4)
    gradient: Any = tape.gradient(found, given_values, output_gradients=[tf.constant(weights)])
    np.testing.assert_allclose(gradient, values @ (weights + weights.transpose(0, 2, 1)), atol=1e-4)


@pytest.mark.parametrize("stride", [1, 2])
def test_convolutions_are_tensorflows_to_rounding(stride: int) -> None:
    rng = np.random.default_rng(0)
    values = tf.constant(rng.normal(size=(3, 12, 8, 16)), tf.float32)
    kernel, each = (tf.constant(rng.normal(size=shape), tf.float32) for shape in ((3, 3, 16, 24), (3, 3, 16, 1)))
    pairs = (
        (row_stable.conv2d(values, kernel, stride), tf.nn.conv2d(values, kernel, stride, "SAME")),
        (
            row_stable.depthwise_conv2d(values, each, stride),
            tf.nn.depthwise_conv2d(values, each, [1, stride, stride, 1], "SAME"),
        ),
    )
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, atol=1e-4)
