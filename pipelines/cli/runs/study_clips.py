"""Clips of the studies: how long they are, and how one is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from evaluation.dreams.originals import MissingSourceError
from pipelines.clips.clips import decode
from pipelines.clips.references import ClipRef
from pipelines.files.containers import ClipError

SEGMENT_SECONDS = 10.0
"""Longer files are cut into clips of this length."""


def read_clip(where: Mapping[str, Any]) -> tuple[np.ndarray, int]:
    """Read a clip: float32 [samples, channels], and its sample rate in Hz.

    Raises:
        MissingSourceError: it cannot be read.
    """
    try:
        clip = decode(ClipRef(**where))
    except ClipError as error:
        raise MissingSourceError(str(error)) from error
    return clip.waveform, clip.ref.sample_rate
