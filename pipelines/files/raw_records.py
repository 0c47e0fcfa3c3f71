"""Records of TFRecord files of any file system, as bytes. Whatever is wrong with one is a `ClipError`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from pipelines.files.containers import ClipError, open_stream, read_errors, read_state, sha256
from pipelines.files.tfrecord import OVERHEAD_BYTES, FrameError, RecordError, read_frame


def read_record(uri: str, offset: int) -> bytes:
    """Read the record whose frame begins at an offset, bytes.

    Raises `ClipError` if there is no whole record, or its checksums do not match.
    """
    try:
        with read_errors(uri), open_stream(uri) as stream:
            stream.seek(offset)
            record = read_frame(stream)
        if record is None:
            raise FrameError("the file ends before it")
    except FrameError as error:
        raise _damaged(uri, offset, error) from error
    return record


def read_records(uri: str) -> Iterator[tuple[int, bytes] | ClipError]:
    """Read a file record by record.

    Yields:
        Offset of the frame, and the record, in order; an error in place of one whose bytes do not match its checksum,
        and as the last thing where a length is damaged.

    Raises:
        ClipError: the file cannot be opened, or be read on.
    """
    with read_errors(uri), open_stream(uri) as stream:
        if stream.read(2) == b"\x1f\x8b":
            message = f"{uri!r} is compressed by gzip; expected plain TFRecords: decompress it (gzip -d)"
            yield ClipError(message, "read")
            return
        stream.seek(0)
        offset = 0
        while True:
            try:
                record = read_frame(stream)
            except FrameError as error:
                yield _damaged(uri, offset, error)
                if not isinstance(error, RecordError):
                    return
                offset = stream.tell()
                continue
            if record is None:
                return
            yield offset, record
            offset += len(record) + OVERHEAD_BYTES


def source_sha256(uri: str, record_offset: int | None) -> str:
    """Return the SHA-256 of a file's bytes, or of the record at an offset: 64 hex digits.

    Raises `ClipError` if the file or record cannot be read.
    """
    if record_offset is None:
        return sha256(uri, *read_state(uri))
    return hashlib.sha256(read_record(uri, record_offset)).hexdigest()


def _damaged(uri: str, offset: int, error: FrameError) -> ClipError:
    return ClipError(
        f"{uri!r} is no TFRecord, or damaged: of the record at byte {offset}, {error}; copy it again from its source",
        "read",
    )
