r"""Paths in rows: the file that a row or line names.

Takes what is written, and the folders that it may be relative to; gives the spelling under which a local file exists,
and suggestions for those that do not. Nothing is opened; other file systems are not searched.

Conventions: spellings are tried in this order: as written, "dog\a.wav" as dog/a.wav, "dog%20a.wav" as "dog a.wav", and
the accents of Unicode's forms NFC and NFD; in each folder in turn; then the same with the endings of audio.
"""

from __future__ import annotations

import itertools
import os
import unicodedata
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipelines.clips.listing import OTHER_SOUND_ENDINGS, SOUND_ENDINGS
from pipelines.files.locations import as_text, local_path

MAX_SEARCHED = 20_000
"""Files that are looked at for one of a name."""

_ENDINGS = SOUND_ENDINGS + OTHER_SOUND_ENDINGS


class AmbiguousPathError(ValueError):
    """Several files have the written name, with different endings; the message is the end of a line."""


@dataclass
class RowPaths:
    """The files that the rows of one table or list name."""

    folders: tuple[str, ...]  # locations that paths are relative to, in order
    asked: int = 0  # number of paths that were looked up
    missing: int = 0  # number of those without a file
    # the first such path as it is written, and where it was looked for
    first: tuple[str, str] = field(default=("", ""))

    def find(self, written: str) -> tuple[str, str]:
        """Return the spelling of a path under which a file exists, and the folder that it is relative to.

        Where there is no such file, or it is not local, the path with forward slashes, and the first folder. Raises
        `AmbiguousPathError` if it could be several files.
        """
        if local_path(written) is None or any(local_path(folder) is None for folder in self.folders):
            return written, self.folders[0]
        self.asked += 1
        for spelling, folder in itertools.product(_spellings(written), self.folders):
            if _is_file(_location(spelling, folder)):
                return spelling, folder
        if not written.lower().endswith(_ENDINGS):
            for spelling, folder in itertools.product(_spellings(written), self.folders):
                if found := _with_ending(spelling, folder):
                    return found, folder
        spelling = written if written.startswith("file://") or os.sep == "\\" else written.replace("\\", "/")
        self.missing += 1
        self.first = self.first if self.first[0] else (written, _location(spelling, self.folders[0]))
        return spelling, self.folders[0]

    def note(self) -> str:
        """Return a note on missing files, and where a file of the first one's name is; "" if none is missing."""
        if not self.missing:
            return ""
        written, tried = (as_text(text) for text in self.first)
        what = f"{self.missing} of {self.asked} paths lead to no file, such as {written!r}: tried {tried!r}"
        name = self.first[0].replace("\\", "/").rstrip("/")
        found = _lying(name.rpartition("/")[2], self.folders[0])
        if found is None:
            return f"{what}; no file of that name lies below {as_text(self.folders[0])!r}: --root names another folder"
        root = _root_for(name, found)
        hint = f": give --root {as_text(root)!r}" if root else ": correct the path"
        return f"{what}; a file of that name is {as_text(found)!r}{hint}"


def _spellings(written: str) -> Iterator[str]:
    """Give the ways to read a path, each once, as written first."""
    yield written
    if written.startswith("file://"):
        return
    seen = {written}
    slashes = written if os.sep == "\\" else written.replace("\\", "/")
    plain = urllib.parse.unquote(slashes, errors="surrogateescape") if "%" in slashes else slashes
    for path in (slashes, plain):
        for spelling in (path, unicodedata.normalize("NFC", path), unicodedata.normalize("NFD", path)):
            if spelling not in seen:
                seen.add(spelling)
                yield spelling


def _location(spelling: str, folder: str) -> str:
    return os.path.normpath(os.path.join(folder + "/", local_path(spelling) or "")).replace(os.sep, "/")


def _is_file(location: str) -> bool:
    return os.path.lexists(location) and not os.path.isdir(location)


def _with_ending(spelling: str, folder: str) -> str:
    """Return a path with the ending of its file, "" if there is none."""
    location = _location(spelling, folder)
    for endings in (_ENDINGS, tuple(ending.upper() for ending in _ENDINGS)):
        there = [ending for ending in endings if _is_file(location + ending)]
        if len(there) > 1:
            raise AmbiguousPathError(f"{spelling!r} is a file with each of the endings {', '.join(there)}; write one")
        if there:
            return spelling + there[0]
    return ""


def _lying(name: str, folder: str) -> str | None:
    """Find a file of a name, whatever its ending, below a folder; the highest one, None if there is none."""
    stem, wanted = _stem(name), 0
    level = [folder]
    while level:
        inner: list[str] = []
        for each in level:
            try:
                names = sorted(os.listdir(each + "/"))
            except (OSError, ValueError):
                continue
            for found in names:
                wanted += 1
                location = f"{each}/{found}"
                if _stem(found) == stem and _is_file(location):
                    return location
                if os.path.isdir(location) and not os.path.islink(location) and not found.startswith("."):
                    inner.append(location)
            if wanted > MAX_SEARCHED:
                return None
        level = inner
    return None


def _stem(name: str) -> str:
    """Spell a file's name for comparison: without an ending of audio, without regard to case."""
    name = unicodedata.normalize("NFC", urllib.parse.unquote(name)).casefold()
    return name[: -len(ending)] if (ending := next((e for e in _ENDINGS if name.endswith(e)), "")) else name


def _root_for(written: str, found: str) -> str:
    """Return the folder that the path of a file would be relative to, "" if there is none."""
    parts, there = written.split("/"), found.split("/")
    if written.startswith("/") or len(parts) >= len(there) or parts[:-1] != there[len(there) - len(parts) : -1]:
        return ""
    return "/".join(there[: len(there) - len(parts)])
