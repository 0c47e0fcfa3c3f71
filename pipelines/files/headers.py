"""Headers: how many bytes of sound a container announces, and whether they are there.

Takes the bytes of a file; gives its `Header`. Nothing is decoded. This is checked before libsndfile opens a file: it
silently reads a part of a truncated WAV, AIFF, AU, W64 or Ogg, and nothing of a WAV that announces no byte. Other
containers (FLAC, MP3) announce no number of bytes; only decoding shows what they hold.

A WAV that was never finished (a recorder that lost power, a program that cannot seek back) has 0, or a number near
2^31 or 2^32, as the number of bytes. Others count their own header. Such a file is read to its end, with a note. One
that lacks more bytes than a header has is truncated.

Conventions: positions are bytes from the beginning of the file.

Sources: EBU Tech 3306 (RF64: the 64-bit length in "ds64"); RFC 3533, section 6 (Ogg pages).
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass
from typing import BinaryIO

from pipelines.files.containers import open_stream, read_errors

_OGG_PAGE_BYTES = 27 + 255 + 255 * 255
_UNKNOWN_SIZES = (0xFFFF_FFFF, 0x7FFF_F000)  # what ffmpeg and sox write when they cannot seek back
_NEAR = 1 << 16  # 2^31 or 2^32, less what the header takes
_FEW_BYTES = 256  # more than the header of a WAV


@dataclass(frozen=True)
class Header:
    """What the header of a file announces."""

    # how the bytes of the file fall short of it, a clause for a message; "" where all is there, or unknown
    missing: str = ""
    note: str = ""  # how it is wrong although the file can be read to its end, one line; "" where it is right
    # a position, and the bytes that replace those there, so that libsndfile reads to the end
    patch: tuple[int, bytes] | None = None


@dataclass(frozen=True)
class _Data:
    """The samples of a container: where they begin, how many bytes are announced, and where and how that is written."""

    start: int
    length: int
    at: int
    layout: str
    wav: bool


@functools.lru_cache(maxsize=256)
def file_header(uri: str, size: int, changed: float) -> Header:
    """Return the header of a file, once for each state of it (`containers.read_state`). Raises `ClipError`."""
    with read_errors(uri), open_stream(uri) as stream:
        return find_header(stream, size)


def find_header(stream: BinaryIO, size: int) -> Header:
    """Return the header of a stream of `size` bytes, which is at its beginning."""
    magic = stream.read(4)
    stream.seek(0)
    if magic == b"OggS":
        return Header("" if _ogg_ends(stream, size) else "its last Ogg page has no end-of-stream mark")
    data = _find_data(stream)
    if data is None:
        return Header()
    there = size - data.start
    if data.wav and there > 0 and _is_wrong(stream, data, size):
        fits = min(there, (1 << 8 * struct.calcsize(data.layout)) - 1)
        announced = "no samples" if data.length == 0 else f"{data.length} bytes of samples"
        note = f"the header announces {announced}, the file has {there}: it was read to its end"
        return Header(note=note, patch=(data.at, struct.pack(data.layout, fits)))
    # one byte: some writers count the pad byte of an odd chunk, and do not write it
    if data.start + data.length > size + 1:
        end = data.start + data.length
        return Header(f"its header announces audio up to byte {end}, the file has {size} bytes")
    return Header()


def _is_wrong(stream: BinaryIO, data: _Data, size: int) -> bool:
    """Return whether the length is impossible for a finished file, or counts a few bytes that are no samples."""
    if data.length == 0:
        return not _only_chunks(stream, data.start, size, data.layout)
    beyond = data.start + data.length - size
    placeholder = abs(data.length - (1 << 31)) <= _NEAR or data.length >= (1 << 32) - _NEAR
    return beyond > 1 and (beyond <= _FEW_BYTES or placeholder)


def _only_chunks(stream: BinaryIO, position: int, size: int, layout: str) -> bool:
    """Return whether only whole chunks follow, up to the end."""
    while position < size:
        stream.seek(position)
        header = stream.read(8)
        if len(header) < 8 or not header[:4].isascii() or not header[:4].decode("ascii").isprintable():
            return False
        length = struct.unpack(f"{layout[0]}I", header[4:])[0]
        position += 8 + length + (length & 1)
    return position in (size, size + 1)


def _find_data(stream: BinaryIO) -> _Data | None:
    """Find the samples according to the header, or None where it announces no number of bytes."""
    head = stream.read(24).ljust(24, b"\0")
    if head[:4] == b".snd":
        offset, length = struct.unpack(">II", head[4:12])
        return None if length in _UNKNOWN_SIZES else _Data(offset, length, 8, ">I", False)
    if head[:8] == b"riff\x2e\x91\xcf\x11":  # W64: the first half of its GUID
        return _Data(0, struct.unpack("<Q", head[16:24])[0], 16, "<Q", False)
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
    number = layout[0] + layout[-1]
    wav = wanted == b"data" and width == 8
    long_length = None
    for _ in range(4096):
        stream.seek(position)
        header = stream.read(width)
        if len(header) < width:
            return None
        name, length = struct.unpack(layout, header)
        if name == b"ds64":
            long_length = position + 16, struct.unpack("<Q", stream.read(16)[8:].ljust(8, b"\0"))[0]
        if name == wanted:
            start = position + width
            if length == 0xFFFF_FFFF and long_length is not None:
                return _Data(start, long_length[1], long_length[0], "<Q", wav)
            return None if length < 0 else _Data(start, length, position + 4, number, wav)
        if length < 0:
            return None
        position += width + length + (length & 1 if width == 8 else 0)
    return None


def _ogg_ends(stream: BinaryIO, size: int) -> bool:
    """Return whether the last page is whole and has the end-of-stream flag (RFC 3533, section 6)."""
    stream.seek(max(0, size - 2 * _OGG_PAGE_BYTES))
    tail = stream.read(2 * _OGG_PAGE_BYTES)
    page = tail[max(0, tail.rfind(b"OggS\0")) :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return False
    lacing = page[27 : 27 + page[26]]
    return bool(page[5] & 4) and len(page) >= 27 + len(lacing) + sum(lacing)
