"""Pieces of a stream, with a few bytes overlaid: a file as it should have been written, for libsndfile to read."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import BinaryIO

_BLOCK_BYTES = 1 << 18
_ID3V1_BYTES = 128


def pieces_of(
    stream: BinaryIO,
    pieces: Sequence[tuple[int, int]],
    *,
    patch: tuple[int, bytes] | None = None,
    apparent: int | None = None,
) -> BinaryIO:
    """Return pieces of a stream, one after the other, as a stream.

    Args:
        stream: has to stay open as long as the result is used.
        pieces: bytes [start, stop) each, none of them empty.
        patch: a position in `stream`, and the bytes that replace those there.
        apparent: the length that a seek from the end finds; None: the true one. Beyond the last piece nothing is read
            but zeros in the last 128 bytes, where ID3v1 tags are looked for.
    """
    return io.BufferedReader(_Pieces(stream, pieces, patch, apparent), _BLOCK_BYTES)


class _Pieces(io.RawIOBase):
    """What `pieces_of` buffers."""

    def __init__(
        self,
        stream: BinaryIO,
        pieces: Sequence[tuple[int, int]],
        patch: tuple[int, bytes] | None,
        apparent: int | None,
    ):
        self._stream, self._pieces, self._patch = stream, pieces, patch
        self._length = sum(stop - start for start, stop in pieces)
        self._end = self._length if apparent is None else apparent
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._at = max(0, offset + (0, self._at, self._end)[whence])
        return self._at

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        data = self._bytes(len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _bytes(self, count: int) -> bytes:
        if self._at >= self._length:
            return bytes(max(0, min(count, self._end - self._at))) if self._at + _ID3V1_BYTES >= self._end else b""
        before = 0
        for start, stop in self._pieces:
            if self._at < before + stop - start:
                position = start + self._at - before
                self._stream.seek(position)
                return self._patched(self._stream.read(min(count, stop - position)), position)
            before += stop - start
        return b""

    def _patched(self, data: bytes, position: int) -> bytes:
        if self._patch is None:
            return data
        at, new = self._patch
        patched = bytearray(data)
        for k, byte in enumerate(new):
            if 0 <= at + k - position < len(data):
                patched[at + k - position] = byte
        return bytes(patched)
