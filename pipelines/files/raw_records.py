"""Records of TFRecord files of any file system, as bytes: whatever is wrong with one is a `ClipError`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pipelines.files.containers import ClipError, one_line, open_stream
from pipelines.files.tfrecord import OVERHEAD_BYTES, FrameError, RecordError, read_frame


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


def read_record(uri: str, offset: int) -> RawRecord:
    """Read the record whose frame begins at an offset, bytes.

    Raises:
        ClipError: there is no whole record, or its checksums do not match.
    """
    try:
        with open_stream(uri) as stream:
            stream.seek(offset)
            record = read_frame(stream)
    except FrameError as error:
        raise _damaged(uri, offset, error) from error
    except OSError as error:
        raise ClipError(f"{uri!r} could not be read ({one_line(error)}); try again", "read") from error
    if record is None:
        raise _damaged(uri, offset, FrameError("the file ends before it"))
    return RawRecord(offset, record)


def read_records(uri: str) -> Iterator[RawRecord | ClipError]:
    """Read a file record by record.

    Yields:
        The records, in order; an error in place of one whose bytes do not match its checksum, and as the last thing
        where the lengths do not lead on.

    Raises:
        ClipError: the file can not be opened, or be read on.
    """
    try:
        with open_stream(uri) as stream:
            if stream.read(2) == b"\x1f\x8b":
                message = f"{uri!r} is compressed by gzip; expected plain TFRecords: decompress it (gzip -d)"
                yield ClipError(message, "read")
                return
            stream.seek(0)
            yield from _read_on(stream, uri)
    except OSError as error:
        raise ClipError(f"{uri!r} could not be read ({one_line(error)}); try again", "read") from error


def _read_on(stream: BinaryIO, uri: str) -> Iterator[RawRecord | ClipError]:
    offset = 0
    while True:
        try:
            record = read_frame(stream)
        except RecordError as error:
            yield _damaged(uri, offset, error)
            offset = stream.tell()
            continue
        except FrameError as error:
            yield _damaged(uri, offset, error)
            return
        if record is None:
            return
        yield RawRecord(offset, record)
        offset += len(record) + OVERHEAD_BYTES


def _damaged(uri: str, offset: int, error: FrameError) -> ClipError:
    return ClipError(
        f"{uri!r} is no TFRecord, or damaged: of the record at byte {offset}, {error}; copy it again from its source",
        "read",
    )
