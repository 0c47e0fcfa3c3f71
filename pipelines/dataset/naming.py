"""File names for records and shards: safe on every file system, and unique.

Ids and labels are text from file names and tables of users: neither is ever a path. What is no letter, digit, - or _
becomes _, so nothing climbs, hides, breaks a line or is read as markup; a hash of the whole text keeps names apart that
would be the same, also where upper and lower case are.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

_LONGEST = 80  # bytes of UTF-8: with hash and ending far below the 255 that file systems take

_RESERVED = re.compile(r"con|prn|aux|nul|conin|conout|clock|(com|lpt)[0-9¹²³]", re.IGNORECASE)  # devices, on Windows


def record_file(id_: str, suffix: str) -> str:
    """Return the name of a record's file: the end of its id, 48 bits of its sha256, and a suffix such as ".wav"."""
    return f"{_plain(id_.rpartition('/')[2])}-{_hash(id_)}{suffix}"


def label_folder(label: str) -> str:
    """Return the name of a label's folder: the label itself where that is safe, else with a hash of it."""
    plain = _plain(label)
    return plain if plain == label and not _RESERVED.fullmatch(label) else f"{plain}-{_hash(label)}"


def shard_name(name: str, split: str, index: int, count: int) -> str:
    """Return the file name that TFDS expects of shard `index` of `count` of a split."""
    return f"{name}-{split}.tfrecord-{index:05d}-of-{count:05d}"


def _plain(text: str) -> str:
    composed = unicodedata.normalize("NFC", text)
    kept = "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in composed)
    kept = re.sub("__+", "_", kept) if kept != text else kept
    return kept.encode("utf-8", "ignore")[:_LONGEST].decode("utf-8", "ignore") or "_"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
