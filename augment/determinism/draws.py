"""Random draws that depend on nothing but the run's seed, the clip and the variant.

A draw is the sha256 of these three and of what it is for, so it is equal on every runner, in every batch and order.
"""

from __future__ import annotations

import hashlib


def draw(seed: int, clip_id: str, variant: int, purpose: str) -> int:
    """Return a whole number in [0, 2^256), equally likely, for one purpose of one variant of one clip."""
    key = f"{seed}\n{variant}\n{purpose}\n{clip_id}"
    return int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest(), "big")


def choose(number: int, count: int) -> int:
    """Map a draw to one of count choices, 0 to count - 1 (the bias is below count / 2^256)."""
    return number % count
