"""MPEG audio (MP3, MP2): how many frames a stream has, and a form of it that libsndfile decodes to its last frame.

Takes the bytes of a file; gives its `Frames`, by the headers of all its frames, and `relaid`, a stream for libsndfile.
Nothing is decoded here.

libsndfile 1.2.2 takes the length from a Xing or Info tag. Without one it estimates it from the first frames, and never
decodes beyond that. So it cuts a stream that begins loud, or that is joined of several, and finds one cut off that
begins quiet. A tag that fits is believed. Else the stream is given a length that is too long, and the decoded frames
are counted.

Sources: ISO/IEC 11172-3, 2.4.1.3, and 13818-3 (headers); ID3v2.4.0 structure, section 3.1; the Xing tag as LAME
writes it.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

from pipelines.files.containers import ClipError, open_stream, read_errors
from pipelines.files.pieces import pieces_of

_BLOCK_BYTES = 1 << 18
_CONFIRMING = 3  # headers in a row that make a stream
_KIND = 0xFFFE_0C00  # of a header's bits: sync, version, layer and sample rate
_LONGER = 80  # more than the largest frame (1729 bytes) divided by the smallest (24)
_KBPS = {
    (True, 3): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 3): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 1): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates by (is MPEG-1, layer as the header's bits have it)."""
_RATES = {0: (11_025, 12_000, 8_000), 2: (22_050, 24_000, 16_000), 3: (44_100, 48_000, 32_000)}
"""Sample rates by the header's bits for the version."""


@dataclass(frozen=True)
class Frames:
    """The frames of a stream."""

    count: int  # how many, a tag's own frame included
    # bytes [start, stop) between frames that belong to none, such as an ID3 tag in the middle
    gaps: tuple[tuple[int, int], ...]
    size: int  # of the file, bytes
    tag_at: int | None  # byte where a Xing or Info tag in the first frame has its number of frames; None without one
    tag_count: int  # that number

    @property
    def announced(self) -> bool:
        """Whether the tag counts all frames; a file with fewer than it says is for the decoder to refuse."""
        return self.tag_at is not None and self.count <= self.tag_count + 1

    @property
    def plain(self) -> bool:
        """Whether libsndfile decodes all of the file as it is."""
        return self.announced and not self.gaps


@lru_cache(maxsize=256)
def file_frames(uri: str, size: int, changed: float) -> Frames | None:
    """Return the frames of a file, once for each state of it (`containers.read_state`).

    Raises `ClipError` if it cannot be read, or is joined of streams that differ in rate or channels.
    """
    with read_errors(uri), open_stream(uri) as stream:
        return find_frames(stream, size, repr(uri))


def find_frames(stream: BinaryIO, size: int, name: str) -> Frames | None:
    """Return the frames of a stream of `size` bytes; None where no run of frames is found.

    Raises `ClipError`, with the quoted name of the sound, if it is joined of streams that differ in rate or channels.
    """
    view = _View(stream, size)
    first = _next_frame(view, 0, None)
    if first is None:
        return None
    kind = _kind(view.header(first))
    count, position, gaps = 0, first, []
    while True:
        length = _frame_bytes(view.header(position), kind)
        if length and position + length <= size:
            count, position = count + 1, position + length
            continue
        found = _next_frame(view, position, kind)
        _check_one_kind(view, position, size if found is None else found, name)
        if found is None:
            break
        gaps.append((position, found))
        position = found
    tag_at, tag_count = _tag(view, first)
    return Frames(count, tuple(gaps), size, tag_at, tag_count)


def relaid(stream: BinaryIO, frames: Frames) -> BinaryIO:
    """Return a stream without its gaps and, unless all is announced, with a length that reaches beyond its end.

    A tag that does not count all frames is given a number that is too high. A stream without a tag seems to have more
    bytes. Either way libsndfile decodes until there is no more. The given stream has to stay open.
    """
    edges = [0, *itertools.chain.from_iterable(frames.gaps), frames.size]
    pieces = list(zip(edges[::2], edges[1::2], strict=True))
    if frames.announced:
        return pieces_of(stream, pieces)
    if frames.tag_at is not None:  # with a count that is too high, the last frames are not trimmed
        return pieces_of(stream, pieces, patch=(frames.tag_at, struct.pack(">I", frames.count + 4)))
    return pieces_of(stream, pieces, apparent=_LONGER * sum(stop - start for start, stop in pieces))


class _View:
    """A stream, read a block at a time."""

    def __init__(self, stream: BinaryIO, size: int):
        self._stream, self.size = stream, size
        self._start, self._block = 0, b""

    def read(self, position: int, count: int) -> bytes:
        """Return up to `count` bytes (at most a block) from a position on."""
        offset = position - self._start
        if offset < 0 or offset + count > len(self._block):
            self._stream.seek(position)
            self._start, self._block, offset = position, self._stream.read(_BLOCK_BYTES), 0
        return self._block[offset : offset + count]

    def header(self, position: int) -> int:
        """Return the four bytes at a position as a number."""
        return int.from_bytes(self.read(position, 4).ljust(4, b"\0"), "big")

    def syncs(self, position: int) -> Iterator[int]:
        """Give the positions of the bytes 0xff from one on."""
        while block := self.read(position, min(_BLOCK_BYTES, self.size - position)):
            at = block.find(b"\xff")
            while at >= 0:
                yield position + at
                at = block.find(b"\xff", at + 1)
            position += len(block)


def _next_frame(view: _View, position: int, kind: int | None) -> int | None:
    """Find the next frame that others follow, of a kind if given; the bytes of ID3v2 tags are skipped."""
    while (tag := view.read(position, 10))[:3] == b"ID3" and len(tag) == 10:
        position += 10 + sum((byte & 127) << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=True))
    for at in view.syncs(position):
        if _confirmed(view, at, kind):
            return at
    return None


def _confirmed(view: _View, position: int, kind: int | None) -> bool:
    """Return whether a run of frames of one kind begins here; the end of the file ends it, too."""
    kind = _kind(view.header(position)) if kind is None else kind
    for _ in range(_CONFIRMING):
        length = _frame_bytes(view.header(position), kind)
        if not length or position + length > view.size:
            return False
        position += length
        if position == view.size:
            return True
    return True


def _check_one_kind(view: _View, start: int, stop: int, name: str) -> None:
    """Refuse a stream that continues at another rate or with other channels."""
    while (found := _next_frame(view, start, None)) is not None and found < stop:
        if _confirmed_long(view, found):
            raise ClipError(
                f"{name} is joined of streams with different sample rates or channels, the next from byte {found} on: "
                "part it, or re-encode it (ffmpeg -i OLD NEW.flac)",
                "decode",
            )
        start = found + 1


def _confirmed_long(view: _View, position: int) -> bool:
    """Return whether ten frames of one kind follow each other."""
    kind = _kind(view.header(position))
    for _ in range(10):
        length = _frame_bytes(view.header(position), kind)
        if not length:
            return False
        position += length
    return True


def _kind(header: int) -> int:
    """Return what the frames of a stream share: version, layer, sample rate, and whether they are mono."""
    return header & _KIND | (header >> 6 & 3 == 3)


@lru_cache(maxsize=4096)
def _frame_bytes(header: int, kind: int) -> int:
    """Return the length of a frame by its header, 0 if it is none of this kind, or of a free bit rate."""
    version, layer, rate, bits = header >> 19 & 3, header >> 17 & 3, header >> 10 & 3, header >> 12 & 15
    if header >> 21 != 0x7FF or version == 1 or layer == 0 or rate == 3 or not 0 < bits < 15 or _kind(header) != kind:
        return 0
    bits_per_second = 1000 * _KBPS[version == 3, layer][bits - 1]
    padding, sample_rate = header >> 9 & 1, _RATES[version][rate]
    if layer == 3:
        return 4 * (12 * bits_per_second // sample_rate + padding)
    return (72 if layer == 1 and version != 3 else 144) * bits_per_second // sample_rate + padding


def _tag(view: _View, first: int) -> tuple[int | None, int]:
    """Find the number of frames that a Xing or Info tag in the first frame has: its byte and its value."""
    header = view.header(first)
    if header >> 17 & 3 != 1:
        return None, 0
    mono = header >> 6 & 3 == 3
    side = (17 if mono else 32) if header >> 19 & 3 == 3 else (9 if mono else 17)
    tag = view.read(first + 4 + side, 12).ljust(12, b"\0")
    flags, count = struct.unpack(">II", tag[4:])
    if tag[:4] not in (b"Xing", b"Info") or not flags & 1:
        return None, 0
    return first + 4 + side + 8, count
