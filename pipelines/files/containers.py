"""Containers: the bytes of sound files on any file system that Beam opens, their state and digest.

Nothing is decoded.

Conventions: sizes are bytes. Results are kept as long as the state of a file (size and time of last change) stays the
same. Whatever is wrong is a `ClipError`.
"""

from __future__ import annotations

import functools
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from pipelines.files.locations import local_path
from pipelines.messages import one_line

_BLOCK_BYTES = 1 << 20


class ClipError(ValueError):
    """A clip that cannot be used; the message is one line that ends with the remedy.

    Attributes:
        stage: that failed, one of "list", "label", "read", "decode", "validate", "encode".
    """

    def __init__(self, message: str, stage: str):
        super().__init__(message)
        self.stage = stage

    def __reduce__(self) -> tuple[Any, ...]:
        """Let a worker send the error to its runner."""
        return type(self), (str(self), self.stage)


def read_state(uri: str) -> tuple[int, float]:
    """Return the state of a file: size in bytes, and time of last change (for comparison only).

    Raises `ClipError` if it is missing, not a file, or out of reach.
    """
    path = local_path(uri)
    try:
        if path is None:
            from apache_beam.io.filesystems import FileSystems

            metadata = FileSystems.get_filesystem(uri).metadata(uri)
            return metadata.size_in_bytes, metadata.last_updated_in_seconds
        status = os.stat(path)
    except FileNotFoundError as error:
        raise ClipError(f"{uri!r} does not exist: check its path", "read") from error
    except Exception as error:  # remote clients raise what they like; os.stat also ValueError (a null character)
        raise ClipError(
            f"{uri!r} cannot be reached ({one_line(error)}); check that it exists and may be read", "read"
        ) from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise ClipError(f"{uri!r} is {kind}; expected a sound file", "read")
    return status.st_size, status.st_mtime_ns


@contextmanager
def open_stream(uri: str) -> Iterator[BinaryIO]:
    """Open the bytes of a file, as they are (nothing is decompressed); errors of the stream are not translated.

    Raises `ClipError` if the file cannot be opened.
    """
    path = local_path(uri)
    try:
        if path is None:
            from apache_beam.io.filesystem import CompressionTypes
            from apache_beam.io.filesystems import FileSystems

            stream = FileSystems.open(uri, compression_type=CompressionTypes.UNCOMPRESSED)
        else:
            stream = open(path, "rb")  # noqa: SIM115 - closed below
    except Exception as error:  # as in read_state
        raise ClipError(
            f"{uri!r} cannot be opened ({one_line(error)}); check that it exists and may be read", "read"
        ) from error
    with stream:
        yield stream


@contextmanager
def read_errors(uri: str) -> Iterator[None]:
    """Turn an `OSError` of reading a file into a `ClipError`."""
    try:
        yield
    except OSError as error:
        raise ClipError(f"{uri!r} could not be read ({one_line(error)}); try again", "read") from error


@functools.lru_cache(maxsize=16)
def sha256(uri: str, size: int, changed: float) -> str:
    """Return the SHA-256 of a file's bytes, 64 hex digits, once for each state of the file (`read_state`).

    Raises `ClipError` if the file cannot be read to its end.
    """
    digest = hashlib.sha256()
    with read_errors(uri), open_stream(uri) as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
