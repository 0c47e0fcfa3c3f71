"""Containers: the bytes of a sound file, and whether all that its header announces are there.

Takes the path or URI of a file, of any file system that Beam opens; gives its state, its bytes, their digest, and
what is missing of them. Nothing is decoded. It is asked before libsndfile is, because libsndfile silently reads
what is there of a truncated WAV, AIFF, AU, W64 or Ogg. Other containers (FLAC, MP3) announce no number of
bytes; what they hold, only decoding can tell.

Conventions: sizes and positions are bytes from the beginning of the file. What has been worked out about a file is
kept for as long as its state (size and time of last change) stays the same. Whatever is wrong is a `ClipError`.

Sources: EBU Tech 3306 (RF64: the 64-bit length in "ds64"); RFC 3533, section 6 (Ogg pages).
"""

from __future__ import annotations

import functools
import hashlib
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from pipelines.locations import local_path

_BLOCK_BYTES = 1 << 20
_OGG_PAGE_BYTES = 27 + 255 + 255 * 255
_UNKNOWN_SIZES = (0xFFFF_FFFF, 0x7FFF_F000)  # what ffmpeg and sox write when they cannot seek back


class ClipError(ValueError):
    """A clip that can not be used; the message is one line that ends with the remedy.

    Attributes:
        stage: where it failed, one of "list", "label", "read", "decode", "validate", "encode".
    """

    def __init__(self, message: str, stage: str):
        super().__init__(message)
        self.stage = stage

    def __reduce__(self) -> tuple[Any, ...]:
        """Let a worker send the error to its runner."""
        return type(self), (str(self), self.stage)


def read_state(uri: str) -> tuple[int, float]:
    """Give what tells one state of a file from the next.

    Args:
        uri: path or URI of the file.

    Returns:
        Its size in bytes, and its time of last change (ns for a local file, else s; for comparison only).

    Raises:
        ClipError: it is missing, not a file, or out of reach.
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
            f"{uri!r} can not be reached ({one_line(error)}); check that it exists and may be read", "read"
        ) from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise ClipError(f"{uri!r} is {kind}; expected a sound file", "read")
    return status.st_size, status.st_mtime_ns


@contextmanager
def open_stream(uri: str) -> Iterator[BinaryIO]:
    """Open the bytes of a file, of any file system, as they are (nothing is decompressed).

    Args:
        uri: path or URI of the file.

    Yields:
        A binary stream at byte 0, closed at the end of the block. Its own errors are not translated.

    Raises:
        ClipError: the file can not be opened.
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
            f"{uri!r} can not be opened ({one_line(error)}); check that it exists and may be read", "read"
        ) from error
    with stream:
        yield stream


@contextmanager
def read_errors(uri: str) -> Iterator[None]:
    """Turn the errors of reading a file into those of its clip.

    Raises:
        ClipError: the block raised an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise ClipError(f"{uri!r} could not be read ({one_line(error)}); try again", "read") from error


@functools.lru_cache(maxsize=16)
def sha256(uri: str, size: int, changed: float) -> str:
    """Digest a file's bytes, once for each state of the file (of the last 16).

    Args:
        uri: path or URI of the file.
        size: of the file, bytes; as `changed`, from `read_state`, and only there to tell states apart.
        changed: time of last change.

    Returns:
        SHA-256 of all bytes, 64 hex digits.

    Raises:
        ClipError: the file can not be opened, or not be read to its end.
    """
    digest = hashlib.sha256()
    with read_errors(uri), open_stream(uri) as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


@functools.lru_cache(maxsize=256)
def cut_off(uri: str, size: int, changed: float) -> str | None:
    """Say how the bytes of a file fall short of what its container announces.

    Args:
        uri: path or URI of the file.
        size: of the file, bytes, from `read_state`.
        changed: time of last change, from `read_state`; only there to tell states apart.

    Returns:
        A clause for a message; None where all is there, or where the container does not say.

    Raises:
        ClipError: the file can not be opened or read.
    """
    with read_errors(uri), open_stream(uri) as stream:
        return announced_more(stream, size)


def announced_more(stream: BinaryIO, size: int) -> str | None:
    """Say how a stream of so many bytes falls short of what its container announces, as `cut_off` does."""
    magic = stream.read(4)
    stream.seek(0)
    if magic == b"OggS":
        return None if _ogg_ends(stream, size) else "its last Ogg page has no end-of-stream mark"
    end = _announced_end(stream)
    # one byte: some writers count the pad byte of an odd chunk, and do not write it
    if end is not None and end > size + 1:
        return f"its header announces audio up to byte {end}, the file has {size} bytes"
    return None


def _announced_end(stream: BinaryIO) -> int | None:
    """Give the byte after the last sample according to the header, or None where it does not say."""
    head = stream.read(24).ljust(24, b"\0")
    if head[:4] == b".snd":
        offset, length = struct.unpack(">II", head[4:12])
        return None if length in _UNKNOWN_SIZES else offset + length
    if head[:8] == b"riff\x2e\x91\xcf\x11":  # W64: the first half of its GUID
        return struct.unpack("<Q", head[16:24])[0]
    layouts = {
        b"RIFF": ("<4sI", 12, b"data"),
        b"RF64": ("<4sI", 12, b"data"),
        b"RIFX": (">4sI", 12, b"data"),
        b"FORM": (">4sI", 12, b"SSND"),
        b"caff": (">4sq", 8, b"data"),
    }
    if head[:4] not in layouts:
        return None
    layout, position, wanted = layouts[head[:4]]
    width = struct.calcsize(layout)
    long_length = None
    for _ in range(4096):
        stream.seek(position)
        header = stream.read(width)
        if len(header) < width:
            return None
        name, length = struct.unpack(layout, header)
        if name == b"ds64":
            long_length = struct.unpack("<Q", stream.read(16)[8:].ljust(8, b"\0"))[0]
        if name == wanted:
            known = long_length if length in _UNKNOWN_SIZES else length
            return None if known is None or known < 0 else position + width + known
        if length < 0:
            return None
        position += width + length + (length & 1 if width == 8 else 0)
    return None


def _ogg_ends(stream: BinaryIO, size: int) -> bool:
    """Say whether a whole page with the end-of-stream flag is the last one (RFC 3533, section 6)."""
    stream.seek(max(0, size - 2 * _OGG_PAGE_BYTES))
    tail = stream.read(2 * _OGG_PAGE_BYTES)
    page = tail[max(0, tail.rfind(b"OggS\0")) :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return False
    lacing = page[27 : 27 + page[26]]
    return bool(page[5] & 4) and len(page) >= 27 + len(lacing) + sum(lacing)


def one_line(error: BaseException) -> str:
    """Give the reason of an error for a message.

    Args:
        error: of libsndfile, the operating system, or the client of a file system.

    Returns:
        One line that UTF-8 can hold, without file names where the error keeps them apart, without a full stop.
    """
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    line = " ".join(str(text).split()).rstrip(".").encode("utf-8", "backslashreplace").decode()
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in line)
