"""Operations whose result for a clip does not depend on its batch: the rule that keeps the bytes the same.

A clip dreams the same, bit by bit, alone and in every batch, on one thread and on many. TensorFlow does not promise
that: a row's last digits may depend on how many rows there are, on its place among them, and on the number of threads.
Whatever lies between a waveform and its next step keeps to this rule:

- **Matrix products** go through `dense`, never through `tf.matmul` or `tf.einsum`. Without AVX-512 the library's
  product adds up the last rows of a tile in another order than the others, and which rows these are follows from the
  number of rows and threads. `dense` is a 1 x 1 convolution, which adds up each place by itself, in one order.
  A product of a clip with itself is `gram`.
- **Convolutions** go through `conv2d` and `depthwise_conv2d`, with two rows or more (`at_least`).
- **Exponentials, logarithms and powers** are taken of whole packets (`whole_packets`, `in_packets`): vector units round
  them differently than the scalars that are left over at the end of a tensor.
- **Sums** over the last axes of a tensor are taken of whole packets, too: a sum that does not begin at a packet's
  border is added up in another order.
- Additions, products, quotients, roots, maxima, comparisons, and Fourier transforms of rows round the same everywhere.

Where oneDNN can be called by name, convolutions are its kernels whatever ``TF_ENABLE_ONEDNN_OPTS`` says: TensorFlow
reads that variable once, while it is imported, and leaves oneDNN off on processors without AVX-512. So neither the
order of two imports nor that default changes bytes. Elsewhere (a GPU, another build of TensorFlow) they are
TensorFlow's own.

`tests/test_batch_law.py` holds every transform, objective and update rule to it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

PACKET = 16
"""Floats in the widest vector register, AVX-512's."""

_NAMES = ("_MklNativeConv2D", "_MklNativeConv2DBackpropInput")
_DEPTHWISE_NAMES = ("_MklNativeDepthwiseConv2dNative", "_MklNativeDepthwiseConv2dNativeBackpropInput")


@functools.cache
def onednn_by_name() -> bool:
    """Return whether oneDNN's kernels can be called by name: TensorFlow has them, and nothing runs on a GPU."""
    from tensorflow.python.framework import kernels

    if tf.config.list_physical_devices("GPU"):
        return False
    return all(kernels.get_registered_kernels_for_op(name).kernel for name in (*_NAMES, *_DEPTHWISE_NAMES))


def conv2d(values: tf.Tensor, kernel: tf.Tensor, stride: int = 1) -> tf.Tensor:
    """Convolve [rows, height, width, channels] by a constant kernel [height, width, channels, filters], padded (SAME).

    There is no gradient by the kernel.
    """
    if not onednn_by_name():
        return tf.nn.conv2d(values, kernel, stride, "SAME")
    return _convolve(_NAMES, values, kernel, stride, ("use_cudnn_on_gpu",))


def depthwise_conv2d(values: tf.Tensor, kernel: tf.Tensor, stride: int) -> tf.Tensor:
    """Convolve each channel by its own constant kernel [height, width, channels, 1], padded (SAME)."""
    if not onednn_by_name():
        return tf.nn.depthwise_conv2d(values, kernel, [1, stride, stride, 1], "SAME")
    return _convolve(_DEPTHWISE_NAMES, values, kernel, stride, ())


def dense(values: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Multiply [batch, rows, inputs] by a constant matrix [inputs, outputs]: [batch, rows, outputs]."""
    outputs: Any = kernel.shape[1]
    batch = tf.shape(values)[0]
    padded = whole_packets(kernel, 0.0)[None, None]
    return conv2d(at_least(2, values)[:, :, None], padded)[:batch, :, 0, :outputs]


def gram(values: tf.Tensor) -> tf.Tensor:
    """Return the products [batch, channels, channels] of all pairs of channels, summed over [batch, places, channels].

    G = A' A of each clip's A, one clip after the other; by A its gradient is A (W + W') for a gradient W by G.
    """

    @tf.custom_gradient
    def forward(given: tf.Tensor) -> Any:
        def backward(gradient: tf.Tensor) -> tf.Tensor:
            both = gradient + tf.linalg.matrix_transpose(gradient)
            return tf.map_fn(
                lambda pair: dense(pair[0][None], pair[1])[0], (given, both), fn_output_signature=tf.float32
            )

        fixed = tf.stop_gradient(given)  # the gradient is the one above, also outside of a graph
        return tf.map_fn(lambda clip: dense(tf.transpose(clip)[None], clip)[0], fixed), backward

    return forward(values)


def at_least(count: int, values: tf.Tensor) -> tf.Tensor:
    """Pad the first axis with zeros to at least this many rows: for fewer, kernels round differently."""
    missing = tf.maximum(0, count - tf.shape(values)[0])
    paddings: Any = [[0, missing], *[[0, 0]] * (values.shape.rank - 1)]
    return tf.pad(values, paddings)


def whole_packets(values: tf.Tensor, fill: float) -> tf.Tensor:
    """Pad the last axis to a multiple of `PACKET`, so that no value is left over at the end of a row."""
    sizes: Any = values.shape
    last: Any = tf.shape(values)[-1] if sizes[-1] is None else sizes[-1]
    return tf.pad(values, [*[[0, 0]] * (len(sizes) - 1), [0, -last % PACKET]], constant_values=fill)


def in_packets(function: Callable[[tf.Tensor], tf.Tensor], values: tf.Tensor, fill: float) -> tf.Tensor:
    """Apply a function to each of the values [..., last], which pads them with a value that it can take."""
    last: Any = tf.shape(values)[-1] if values.shape[-1] is None else values.shape[-1]
    result: Any = function(whole_packets(values, fill))
    return result[..., :last]


def softmax(logits: tf.Tensor) -> tf.Tensor:
    """Return the softmax over the last axis of logits [..., classes]."""
    classes: Any = logits.shape[-1]
    scores: Any = tf.nn.softmax(whole_packets(logits, -math.inf))
    return scores[..., :classes]


def sum_of_rows(values: tf.Tensor) -> tf.Tensor:
    """Add up all that belongs to each row of [rows, ...]: [rows]."""
    return tf.reduce_sum(whole_packets(tf.reshape(values, [tf.shape(values)[0], -1]), 0.0), axis=1)


def _convolve(
    names: tuple[str, str], values: tf.Tensor, kernel: tf.Tensor, stride: int, flags: tuple[str, ...]
) -> tf.Tensor:
    @tf.custom_gradient
    def forward(given: tf.Tensor) -> Any:
        def backward(gradient: tf.Tensor) -> tf.Tensor:
            return _operation(names[1], (tf.shape(given), kernel, gradient), stride, flags)

        fixed = tf.stop_gradient(given)  # the gradient is the one above, also outside of a graph
        return _operation(names[0], (fixed, kernel), stride, (*flags, "is_filter_const")), backward

    return forward(values)


def _operation(name: str, inputs: tuple[tf.Tensor, ...], stride: int, flags: tuple[str, ...]) -> tf.Tensor:
    """Put one of oneDNN's operations into the graph; they have no Python interface."""
    if tf.executing_eagerly():
        return _compiled(name, stride, flags, tuple((each.dtype, each.shape.rank) for each in inputs))(*inputs)
    value = tf.compat.v1.AttrValue
    ints = lambda *numbers: value(list=value.ListValue(i=numbers))  # noqa: E731
    attributes = {
        "T": value(type=inputs[-1].dtype.as_datatype_enum),
        "strides": ints(1, stride, stride, 1),
        "dilations": ints(1, 1, 1, 1),
        "padding": value(s=b"SAME"),
        "explicit_paddings": ints(),
        "data_format": value(s=b"NHWC"),
        "_kernel": value(s=b"MklNameChangeOp"),
        **{flag: value(b=flag == "use_cudnn_on_gpu") for flag in flags},
    }
    graph = tf.compat.v1.get_default_graph()
    operation = graph.create_op(name, list(inputs), [inputs[-1].dtype], attrs=attributes, name=name.lstrip("_"))
    return operation.outputs[0]


@functools.cache
def _compiled(name: str, stride: int, flags: tuple[str, ...], kinds: tuple[tuple[tf.DType, int], ...]) -> Any:
    """Return the operation as a function, one for all shapes, for use outside of a graph."""
    specs: Any = [tf.TensorSpec([None] * rank, dtype) for dtype, rank in kinds]
    return tf.function(lambda *inputs: _operation(name, inputs, stride, flags), specs, autograph=False)
