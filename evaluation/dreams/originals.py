"""Originals: clips that dreams are compared with, where the dataset does not hold them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


class MissingSourceError(ValueError):
    """A source clip cannot be read; the message is one line."""


ReadSource = Callable[[Mapping[str, Any]], tuple[np.ndarray, int]]
"""Reads a clip by provenance's source (uri, sha256, start, stop ...): float32 [samples, channels], and its Hz.

Raises `MissingSourceError` where the file does not exist or has changed.
"""
