"""TFRecord framing: each record between its length and two masked CRC-32C checksums.

Source: TensorFlow, tensorflow/core/lib/io/record_writer.h (format) and core/lib/hash/crc32c.h (mask).
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

import google_crc32c

OVERHEAD_BYTES = 16
"""Bytes that the framing adds to each record."""

_HEAD_BYTES, _TAIL_BYTES = 12, 4


class FrameError(ValueError):
    """The file is cut off, or a length is damaged: where the next record begins is not known."""


class RecordError(FrameError):
    """One record is damaged; the file stands at the next one."""


def frame(record: bytes) -> bytes:
    """Return the record as it stands in a TFRecord file."""
    length = struct.pack("<Q", len(record))
    return length + _masked_crc(length) + record + _masked_crc(record)


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def read_frame(file: BinaryIO) -> bytes | None:
    """Read the next record of a file, its checksums compared.

    Args:
        file: a local TFRecord file, uncompressed, at the beginning of a record.

    Returns:
        The record; None at the end of the file.

    Raises:
        RecordError: the record's bytes are damaged; what follows it can be read.
        FrameError: the file is cut off here, or what tells the record's length is damaged.
    """
    length = _read_length(file)
    if length is None:
        return None
    record = file.read(length)
    if file.read(_TAIL_BYTES) != _masked_crc(record):
        raise RecordError("its bytes are damaged (their checksum is another)")
    return record


def skip_frames(file: BinaryIO, count: int) -> None:
    """Go on by so many records, whose bytes are not read.

    Raises:
        FrameError: there are fewer, or what tells a record's length is damaged.
    """
    for _ in range(count):
        length = _read_length(file)
        if length is None:
            raise FrameError("the file ends before it")
        file.seek(length + _TAIL_BYTES, os.SEEK_CUR)


def _read_length(file: BinaryIO) -> int | None:
    """Read how many bytes the next record has, all of which are there; None at the end of the file."""
    head = file.read(_HEAD_BYTES)
    if not head:
        return None
    if len(head) < _HEAD_BYTES:
        raise FrameError("the file is cut off within it")
    if head[8:] != _masked_crc(head[:8]):
        raise FrameError("its length is damaged (its checksum is another): nothing after it can be read")
    length = struct.unpack("<Q", head[:8])[0]
    if length + _TAIL_BYTES > os.fstat(file.fileno()).st_size - file.tell():
        raise FrameError("the file is cut off within it")
    return length
