"""Formats that libsndfile does not read, recognised by their first bytes, for messages."""

from __future__ import annotations

from typing import Any

_HEAD_BYTES = 16
_MAGIC = (
    (4, b"ftyp", "MPEG-4 or 3GPP (M4A, MP4, MOV, 3GP)"),
    (0, b"\x1a\x45\xdf\xa3", "WebM or Matroska"),
    (0, b"wvpk", "WavPack"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media (WMA)"),
    (0, b"#!AMR", "AMR"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"ADIF", "AAC"),
    (0, b"\xff\xf1", "AAC"),
    (0, b"\xff\xf9", "AAC"),
    (0, b"TTA", "True Audio"),
    (0, b"MPCK", "Musepack"),
    (0, b"MP+", "Musepack"),
    (0, b"\x0b\x77", "AC-3"),
    (0, b".RMF", "RealMedia"),
    (0, b".ra\xfd", "RealAudio"),
    (0, b"DSD ", "DSD"),
    (0, b"FRM8", "DSD"),
    (0, b"FLV", "Flash Video"),
    (8, b"AVI ", "AVI"),
)


def foreign(source: Any) -> str:
    """Return the format of a path or stream as a clause, such as "WebM or Matroska, which is not read"; "" if unknown.

    A stream stays where it is.
    """
    try:
        if isinstance(source, (str, bytes)):
            with open(source, "rb") as stream:
                head = stream.read(_HEAD_BYTES)
        else:
            position = source.tell()
            source.seek(0)
            head = source.read(_HEAD_BYTES)
            source.seek(position)
    except OSError:
        return ""
    return next((f"{kind}, which is not read" for at, magic, kind in _MAGIC if head[at:].startswith(magic)), "")
