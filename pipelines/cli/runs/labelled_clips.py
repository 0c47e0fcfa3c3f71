"""Labelled recordings of the studies: listed with a table, and read clip by clip."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from evaluation.dreams.originals import MissingSourceError
from pipelines.clips.clips import decode
from pipelines.clips.listing import Told
from pipelines.clips.references import ClipRef, Failure, SoundFileRef
from pipelines.files.containers import ClipError
from pipelines.sources.folders import list_files
from pipelines.tables.columns import Columns

SEGMENT_SECONDS = 10.0
"""Longer files are cut into clips of this length."""


def list_labelled(inputs: Sequence[str], metadata: str | None, columns: Columns) -> Iterator[SoundFileRef | Failure]:
    """List files with their labels; at the end log what is notable about the table, such as rows without a file.

    Raises:
        SourceError: nothing can be read there.
    """
    notes = Told()
    yield from list_files(inputs, metadata=metadata, columns=columns, told=notes)
    for note in notes.notes:
        logging.getLogger("dreambeam").info(note)


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
