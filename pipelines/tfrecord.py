"""TFRecord framing: each record between its length and two masked CRC-32C checksums.

Lengths are claims: no more is read than the file can hold, and than `MAX_RECORD_BYTES`. Whatever is wrong with a file
or a record is a `ClipError`.

Source: TensorFlow, tensorflow/core/lib/io/record_writer.h (format) and core/lib/hash/crc32c.h (mask).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import google_crc32c

from pipelines.containers import ClipError, one_line, open_stream, read_state

OVERHEAD_BYTES = 16
"""Bytes that the framing adds to each record."""

MAX_RECORD_BYTES = 1 << 30

_HEADER_BYTES = 12


@dataclass(frozen=True)
class RawRecord:
    """The bytes of a record.

    Attributes:
        offset: of the record's frame in its file, bytes.
        data: without the frame.
    """

    offset: int
    data: bytes

    @property
    def sha256(self) -> str:
        """Hex digest of the data."""
        return hashlib.sha256(self.data).hexdigest()


def frame(record: bytes) -> bytes:
    """Return the record as it stands in a TFRecord file."""
    length = struct.pack("<Q", len(record))
    return length + _masked_crc(length) + record + _masked_crc(record)


def read_record(uri: str, offset: int) -> RawRecord:
    """Read the record whose frame begins at an offset, bytes.

    Raises:
        ClipError: there is no whole record, or its checksums do not match.
    """
    size = read_state(uri)[0]
    try:
        with open_stream(uri) as stream:
            stream.seek(offset)
            return RawRecord(offset, _data(stream, _length(stream, offset, size, uri), offset, uri))
    except OSError as error:
        raise ClipError(f"{uri!r} could not be read ({one_line(error)}); try again", "read") from error


def read_records(uri: str) -> Iterator[RawRecord | ClipError]:
    """Read a file record by record.

    Yields:
        The records, in order; an error in place of one whose bytes do not match its checksum, and as the last thing
        where the lengths do not lead on.

    Raises:
        ClipError: the file can not be opened, or be read on.
    """
    size = read_state(uri)[0]
    try:
        with open_stream(uri) as stream:
            offset = 0
            while offset < size:
                stream.seek(offset)
                try:
                    length = _length(stream, offset, size, uri)
                except ClipError as error:
                    yield error
                    return
                try:
                    yield RawRecord(offset, _data(stream, length, offset, uri))
                except ClipError as error:
                    yield error
                offset += length + OVERHEAD_BYTES
    except OSError as error:
        raise ClipError(f"{uri!r} could not be read ({one_line(error)}); try again", "read") from error


def _length(stream: BinaryIO, offset: int, size: int, uri: str) -> int:
    """Read the header of a record and give the length of its data."""
    header = stream.read(_HEADER_BYTES)
    if offset == 0 and header[:2] == b"\x1f\x8b":
        raise ClipError(f"{uri!r} is compressed by gzip; expected plain TFRecords: decompress it (gzip -d)", "read")
    if len(header) < _HEADER_BYTES or _masked_crc(header[:8]) != header[8:]:
        raise ClipError(
            f"{uri!r} is not TFRecord, or damaged, from byte {offset} on: what follows is lost; copy it again from its "
            "source",
            "read",
        )
    length = struct.unpack("<Q", header[:8])[0]
    if length > MAX_RECORD_BYTES or offset + length + OVERHEAD_BYTES > size:
        raise ClipError(
            f"{uri!r} announces a record of {length} bytes at byte {offset}; expected at most {MAX_RECORD_BYTES}, "
            f"within the file's {size}: it is cut off, or no TFRecord; copy it again from its source",
            "read",
        )
    return length


def _data(stream: BinaryIO, length: int, offset: int, uri: str) -> bytes:
    """Read the data of a record, and check it."""
    data, crc = stream.read(length), stream.read(4)
    if len(data) < length or _masked_crc(data) != crc:
        raise ClipError(
            f"{uri!r} holds a record at byte {offset} whose checksum does not match; copy it again from its source",
            "read",
        )
    return data


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)
