"""TFRecord framing: each record between its length and two masked CRC-32C checksums.

Source: TensorFlow, tensorflow/core/lib/io/record_writer.h (format) and core/lib/hash/crc32c.h (mask).
"""

from __future__ import annotations

import struct

import google_crc32c

OVERHEAD_BYTES = 16
"""Bytes that the framing adds to each record."""


def frame(record: bytes) -> bytes:
    """Return the record as it stands in a TFRecord file."""
    length = struct.pack("<Q", len(record))
    return length + _masked_crc(length) + record + _masked_crc(record)


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)
