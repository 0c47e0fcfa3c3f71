"""The cache folder of the user: weights, the ontology, and what else is downloaded once."""

from __future__ import annotations

import os
from pathlib import Path

import filelock
import platformdirs


def cache_directory() -> Path:
    """Return dreambeam's cache folder: ``$DREAMBEAM_CACHE``, or the user's cache folder."""
    return Path(os.environ.get("DREAMBEAM_CACHE") or platformdirs.user_cache_dir("dreambeam"))


def cache_lock() -> filelock.BaseFileLock:
    """Return the lock of the cache folder: one process downloads, the others wait."""
    folder = cache_directory()
    folder.mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(folder / ".lock")
