"""The arithmetic of this machine: what decides the last bits of a dream beside the versions of the libraries.

On a processor these are the vector instructions of oneDNN's convolutions. oneDNN takes the widest that the processor
has, or that the environment variable ``ONEDNN_MAX_CPU_ISA`` allows when it is first used. With equal instructions and
versions a dream has the same bytes on every machine; with others, rounding differs, and many steps amplify that.

The fast arithmetic (`augment.ascent.fast_gradient`) takes products in bfloat16 where the processor has instructions for
them, and in float32 elsewhere: emulated, they are slower than float32.
"""

from __future__ import annotations

import functools
import os
import platform
import sys
import warnings
from dataclasses import dataclass

LIMIT = "ONEDNN_MAX_CPU_ISA"
"""Environment variable that keeps oneDNN to older instructions; it is read when oneDNN is first used."""

SWITCH = "TF_ENABLE_ONEDNN_OPTS"
"""Environment variable that switches oneDNN on and off in all of TensorFlow, read while TensorFlow is imported."""

_FLAGS = {
    "SSE4.1": ("sse4_1",),
    "AVX": ("avx",),
    "AVX2": ("avx2", "fma"),
    "AVX-512": ("avx512f", "avx512bw", "avx512dq", "avx512vl"),
}
"""Kinds of float32 instructions, the newest last, with what Linux calls them."""

_NUMPY = {"sse4_1": "SSE41", "avx": "AVX", "avx2": "AVX2", "fma": "FMA3"} | dict.fromkeys(
    _FLAGS["AVX-512"], "AVX512_SKX"
)
"""What NumPy calls the same; it does not look for bfloat16."""

_LIMITS = {
    "SSE41": "SSE4.1",
    "AVX": "AVX",
    **dict.fromkeys(("AVX2", "AVX2_VNNI", "AVX2_VNNI_2"), "AVX2"),
}
"""Values of `LIMIT` that leave AVX-512 out, and what they leave."""

_NO_LIMITS = ("DEFAULT", "ALL")
_NEWEST = "AVX512_", "AVX10_"
"""Values of `LIMIT` that leave AVX-512 in, or how they begin."""

_WITHOUT_BFLOAT16 = (*_LIMITS, "AVX512_CORE", "AVX512_CORE_VNNI")

ONEDNN_NAMES = {kind: limit for limit, kind in reversed(_LIMITS.items())}
"""The value of `LIMIT` that keeps oneDNN to instructions; none for AVX-512."""


@dataclass(frozen=True)
class Arithmetic:
    """What a dream was computed with.

    Attributes:
        device: ``cpu`` or ``gpu``.
        instructions: of the processor, as oneDNN uses them: a key of the table above, or the machine's name.
        onednn: convolutions are oneDNN's.
        products: of the fast arithmetic, ``bfloat16`` or ``float32``.
    """

    device: str
    instructions: str
    onednn: bool
    products: str

    def __str__(self) -> str:
        if self.device != "cpu":
            return self.device.upper()
        return f"{self.instructions}, oneDNN {'on' if self.onednn else 'off'}"


def instructions() -> str:
    """Return the vector instructions that oneDNN uses here, such as ``AVX2``; elsewhere than on x86, the machine."""
    if platform.machine().lower() not in ("x86_64", "amd64", "x86"):
        return platform.machine()
    flags = _cpu_flags()
    own = [kind for kind, needed in _FLAGS.items() if flags.issuperset(needed)]
    limit = _LIMITS.get(_limit())
    if limit in own:
        own = own[: own.index(limit) + 1]
    return own[-1] if own else platform.machine()


def fast_products() -> str:
    """Return what the fast arithmetic takes products in here: ``bfloat16`` where there are instructions for it."""
    native = bool(_cpu_flags() & {"avx512_bf16", "amx_bf16"}) and _limit() not in _WITHOUT_BFLOAT16
    return "bfloat16" if native or _on_gpu() else "float32"


def arithmetic() -> Arithmetic:
    """Return the arithmetic of this process; loads TensorFlow."""
    from augment.determinism.row_stable import onednn_by_name

    if _on_gpu():
        return Arithmetic("gpu", instructions(), False, "bfloat16")
    return Arithmetic("cpu", instructions(), onednn_by_name() or onednn_is_on(), fast_products())


def follow(wanted: Arithmetic) -> None:
    """Keep this process to the instructions of another machine, if this one has them and newer ones.

    To be called before oneDNN is first used, that is before TensorFlow computes anything. A limit in the environment
    that allows newer instructions is narrowed.
    """
    kinds, own = list(_FLAGS), instructions()
    known = wanted.device == "cpu" and wanted.instructions in ONEDNN_NAMES and own in kinds
    if known and kinds.index(wanted.instructions) < kinds.index(own):
        os.environ[LIMIT] = ONEDNN_NAMES[wanted.instructions]


def onednn_is_on() -> bool:
    """Return whether TensorFlow, which is loaded, uses oneDNN for whatever it can."""
    from tensorflow.python.util import _pywrap_util_port

    return bool(_pywrap_util_port.IsMklEnabled())


@functools.cache
def warn_if_slower() -> None:
    """Say once that TensorFlow was imported too early for oneDNN, which costs about a quarter of the speed."""
    if onednn_is_on() or os.environ.get(SWITCH) == "0" or _on_gpu() or instructions() not in _FLAGS:
        return
    warnings.warn(
        "TensorFlow was imported before augment and left oneDNN off on this processor. Dreams through YAMNet have "
        f"the same bytes, but take about a third longer: import augment before tensorflow, or set {SWITCH}=1.",
        stacklevel=2,
    )


def limit_is_unknown() -> bool:
    """Return whether the environment sets a limit that oneDNN does not know, and so ignores."""
    limit = _limit()
    return bool(limit) and limit not in (*_LIMITS, *_NO_LIMITS) and not limit.startswith(_NEWEST)


def _limit() -> str:
    return (os.environ.get(LIMIT) or os.environ.get("DNNL_MAX_CPU_ISA") or "").upper()


def _on_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


@functools.cache
def _cpu_flags() -> frozenset[str]:
    if sys.platform == "linux":
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("flags"):
                    return frozenset(line.partition(":")[2].split())
    from numpy._core._multiarray_umath import __cpu_features__ as features

    return frozenset(flag for flag, name in _NUMPY.items() if features.get(name))
