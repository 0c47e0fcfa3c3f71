"""TFRecord framing: each record between its length and two masked CRC-32C checksums.

Source: TensorFlow, tensorflow/core/lib/io/record_writer.h (format) and core/lib/hash/crc32c.h (mask).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import google_crc32c

OVERHEAD_BYTES = 16
"""Bytes that the framing adds to each record."""

HEAD_BYTES = 12
"""Of these, before the record: its length and the length's checksum."""


_BLOCK_BYTES = 1 << 24


class FrameError(ValueError):
    """A TFRecord file is cut off or damaged; the message says where and how."""


def frame(record: bytes) -> bytes:
    """Return the record as it stands in a TFRecord file."""
    length = struct.pack("<Q", len(record))
    return length + _masked_crc(length) + record + _masked_crc(record)


def read_frames(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Give the records of a TFRecord file from where the stream stands, each with the offset of its first byte.

    A length is a claim: memory grows with the bytes that were really read.

    Raises:
        FrameError: the file ends within a record, or a checksum is wrong.
    """
    offset = stream.tell()
    while head := stream.read(HEAD_BYTES):
        if len(head) < HEAD_BYTES or _masked_crc(head[:8]) != head[8:]:
            raise FrameError(f"no record begins at byte {offset}")
        (length,) = struct.unpack("<Q", head[:8])
        record = _read(stream, length)
        tail = stream.read(OVERHEAD_BYTES - HEAD_BYTES)
        if len(record) < length or len(tail) < OVERHEAD_BYTES - HEAD_BYTES:
            raise FrameError(f"the record at byte {offset} is cut off")
        if _masked_crc(record) != tail:
            raise FrameError(f"the record at byte {offset} is damaged: its checksum is another")
        yield offset + HEAD_BYTES, record
        offset += length + OVERHEAD_BYTES


def _read(stream: BinaryIO, length: int) -> bytes:
    """Read so many bytes, or fewer where the stream ends, a block at a time."""
    blocks = []
    while length and (block := stream.read(min(length, _BLOCK_BYTES))):
        blocks.append(block)
        length -= len(block)
    return b"".join(blocks)


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)
