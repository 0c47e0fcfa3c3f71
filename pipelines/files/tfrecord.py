"""TFRecord framing: each record between its length and two masked CRC-32C checksums.

A length is a claim: memory grows with the bytes that were read, never with the claim.

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

MAX_RECORD_BYTES = 2 << 30
"""A longer record is no tf.train.Example, which protobuf limits to this."""

_TAIL_BYTES = OVERHEAD_BYTES - HEAD_BYTES
_BLOCK_BYTES = 1 << 24


class FrameError(ValueError):
    """The file is cut off, or a length is damaged: the next record cannot be found."""


class RecordError(FrameError):
    """One record is damaged; the file is at the next one."""


def frame(record: bytes) -> bytes:
    """Return a record as it is in a TFRecord file."""
    length = struct.pack("<Q", len(record))
    return length + _masked_crc(length) + record + _masked_crc(record)


def read_frame(stream: BinaryIO) -> bytes | None:
    """Read the next record of an uncompressed TFRecord file, its checksums compared; None at the end of the file.

    Raises:
        RecordError: the record's bytes are damaged; what follows it can be read.
        FrameError: the file is cut off here, or the record's length is damaged.
    """
    length = _read_length(stream)
    if length is None:
        return None
    record, tail = _read(stream, length), stream.read(_TAIL_BYTES)
    if len(record) < length or len(tail) < _TAIL_BYTES:
        raise FrameError("the file is cut off within it")
    if _masked_crc(record) != tail:
        raise RecordError("its bytes are damaged (their checksum is another)")
    return record


def read_frames(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Give the records of a file from its position on, each with the offset of its first byte. Raises `FrameError`."""
    offset = stream.tell()
    while (record := read_frame(stream)) is not None:
        yield offset + HEAD_BYTES, record
        offset += len(record) + OVERHEAD_BYTES


def skip_frames(stream: BinaryIO, count: int) -> None:
    """Skip records, without reading them. Raises `FrameError` if there are fewer, or a length is damaged."""
    for _ in range(count):
        length = _read_length(stream)
        if length is None:
            raise FrameError("the file ends before it")
        stream.seek(stream.tell() + length + _TAIL_BYTES - 1)
        if not stream.read(1):
            raise FrameError("the file is cut off within it")


def _read_length(stream: BinaryIO) -> int | None:
    """Read the length of the next record, bytes; None at the end of the file."""
    head = stream.read(HEAD_BYTES)
    if not head:
        return None
    if len(head) < HEAD_BYTES:
        raise FrameError("the file is cut off within it")
    (length,) = struct.unpack("<Q", head[:8])
    if head[8:] != _masked_crc(head[:8]) or length > MAX_RECORD_BYTES:
        raise FrameError("its length is damaged (its checksum is another): nothing after it can be read")
    return length


def _read(stream: BinaryIO, length: int) -> bytes:
    """Read `length` bytes, or fewer where the stream ends, a block at a time."""
    blocks = []
    while length and (block := stream.read(min(length, _BLOCK_BYTES))):
        blocks.append(block)
        length -= len(block)
    return b"".join(blocks)


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)
