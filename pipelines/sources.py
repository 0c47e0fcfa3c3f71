r"""Sources: from what the user names to a list of labelled sound files.

Takes paths, folders and globs (local, or of any file system that Beam opens) and, if wanted, a CSV of labels;
gives `SoundFileRef` and `Failure`, sorted by id. Nothing is decoded. Labels and ids are text: never
evaluated.

Conventions: an id is the POSIX path below the root of the inputs (the deepest folder that they share; a glob
counts by its part before the first wildcard), as the file system spells it; bytes that are not UTF-8 show as
\xNN. Without a CSV the label is the name of the folder that holds the file, below the root. Hidden files are
not listed, linked folders are entered once.
"""

from __future__ import annotations

import itertools
import os
import re
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from pipelines.clips import Failure, SoundFileRef
from pipelines.locations import local_path, locate, nearest
from pipelines.metadata import Columns, SourceError, label_files

AUDIO_EXTENSIONS = (
    ".wav",
    ".wave",
    ".flac",
    ".ogg",
    ".oga",
    ".opus",
    ".mp3",
    ".aif",
    ".aiff",
    ".aifc",
    ".au",
    ".snd",
    ".caf",
    ".w64",
    ".rf64",
)
UNREADABLE_EXTENSIONS = (
    ".m4a",
    ".aac",
    ".wma",
    ".amr",
    ".ape",
)  # sound, but not for libsndfile: listed as failures


_WILDCARD = re.compile(r"[*?\[]")


def list_files(
    inputs: str | Sequence[str | os.PathLike[str]],
    *,
    metadata: str | None = None,
    columns: Columns | None = None,
) -> Iterator[SoundFileRef | Failure]:
    """List the sound files that the inputs name, with their labels.

    Args:
      inputs: each a file, a folder (all audio below it), or a glob (`*`, `?`, `[...]`, and `**` for any
        folders; a folder that it matches is taken whole). Local, or a URI that Beam's FileSystems can match.
      metadata: CSV or TSV with a header row. A row belongs to the file whose id it names, or whose path
        relative to the CSV's folder, or, where it is the only one, whose base name.
      columns: names of the CSV's columns; None detects all.

    Returns:
      References and failures, sorted by id. The order of the inputs does not matter; a file named twice comes
      once.

    Raises:
      SourceError: an input is missing or holds no audio, or the CSV can not be read, lacks a column, or names
        none of the files. Raised by the call itself, not by the iteration.
    """
    names = [inputs] if isinstance(inputs, str) else [os.fspath(each) for each in inputs]
    if not all(names) or not names:
        raise SourceError("no input given, or an empty one; expected at least one file, folder or glob")
    found = [_find(given) for given in names]
    if len({_scheme(each.root) for each in found}) > 1:
        roots = ", ".join(sorted({repr(each.root) for each in found}))
        raise SourceError(f"the inputs lie on different file systems ({roots}); expected one: run them one by one")
    root = _common([each.root.split("/") for each in found])
    locations = sorted({location for each in found for location in each.files})
    failures = {failure.uri: failure for each in found for failure in each.failures}
    files: list[SoundFileRef | Failure] = [
        replace(failure, id=_text(_below(root, local_path(uri) or uri))) for uri, failure in failures.items()
    ]
    readable: dict[str, SoundFileRef] = {}
    for location in locations:
        identity = _text(_below(root, location))
        if location.lower().endswith(UNREADABLE_EXTENSIONS):
            error = f"{identity!r} has a format that is not read; convert it (ffmpeg -i OLD NEW.flac)"
            files.append(Failure(uri=_uri(location), id=identity, stage="list", error=error))
        else:
            folders = identity.split("/")[:-1]
            readable[location] = SoundFileRef(identity, _uri(location), folders[-1] if folders else None)
    files += readable.values() if metadata is None else label_files(readable, metadata, columns or Columns())
    return iter(sorted(files, key=lambda file: (file.id, file.uri)))


@dataclass(frozen=True)
class _Found:
    """What one input gave: its root, the locations of its files, and the folders that could not be read."""

    root: str
    files: list[str]
    failures: list[Failure]


def _find(given: str) -> _Found:
    """List what one input names."""
    location = locate(given)
    if _is_file(location):
        return _Found(location.rpartition("/")[0], [location], [])
    root, pattern = location, ()
    if not _is_folder(location) and _WILDCARD.search(location):
        parts = location.split("/")
        fixed = next(i for i, part in enumerate(parts) if _WILDCARD.search(part))
        root, pattern = "/".join(parts[:fixed]), tuple(parts[fixed:])
    if not _is_folder(root):
        raise SourceError(f"input {given!r} does not exist; expected a file, a folder or a glob{nearest(root)}")
    walk = _walk if local_path(root) is not None else _walk_remote
    listed = list(walk(root, lambda parts: _matches(parts, pattern, below=True)))
    failures = [each for each in listed if isinstance(each, Failure)]
    matched = [each for each in listed if not isinstance(each, Failure) and _matches(each, pattern)]
    audio = [each for each in matched if each[-1].lower().endswith(AUDIO_EXTENSIONS + UNREADABLE_EXTENSIONS)]
    if not audio and not failures:
        what = f"glob {given!r} matches" if pattern else f"folder {given!r} holds"
        other = f"{len(matched)} other files, such as {'/'.join(min(matched))!r}" if matched else "no files at all"
        expected = ", ".join(AUDIO_EXTENSIONS)
        raise SourceError(f"{what} no audio but {other}; expected files that end in {expected}")
    return _Found(root, ["/".join((root, *parts)) for parts in audio], failures)


def _walk(root: str, enter: Callable[[tuple[str, ...]], bool]) -> Iterator[tuple[str, ...] | Failure]:
    """List the files below a local folder as parts of their path; enter each real folder once, links last."""
    seen = set()
    folders: list[tuple[str, ...]] = [()]
    links: list[tuple[str, ...]] = []
    while folders or links:
        parts = folders.pop() if folders else links.pop()
        location = "/".join((root, *parts))
        try:
            status = os.stat(location + "/")
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            names = sorted(os.listdir(location + "/"), reverse=True)
        except OSError as error:
            what = f"folder {location!r} can not be listed ({error.strerror}); check its permissions"
            yield Failure(uri=_uri(location), id="", stage="list", error=what)
            continue
        for name in names:
            path = f"{location}/{name}"
            if name.startswith("."):
                continue
            if not os.path.isdir(path):
                yield (*parts, name)
            elif enter((*parts, name)):
                (links if os.path.islink(path) else folders).append((*parts, name))


def _walk_remote(root: str, enter: Callable[[tuple[str, ...]], bool]) -> Iterator[tuple[str, ...]]:
    """List the files below a folder of another file system as parts of their path; such a listing is flat."""
    for path in _match_remote(f"{root}/**"):
        parts = tuple(path[len(root) + 1 :].split("/"))
        if parts[-1] and not any(part.startswith(".") for part in parts):
            yield parts


def _match_remote(pattern: str) -> list[str]:
    """List what Beam finds."""
    from apache_beam.io.filesystems import FileSystems

    try:
        return [metadata.path for metadata in FileSystems.match([pattern])[0].metadata_list]
    except Exception as error:  # the clients of storage services raise what they like
        reason = " ".join(str(error).split())
        raise SourceError(f"{pattern!r} can not be listed ({reason}); check its name and your access") from error


def _matches(path: tuple[str, ...], pattern: tuple[str, ...], *, below: bool = False) -> bool:
    """Say whether a path matches a glob, both in parts, or lies in a folder that does.

    Args:
      path: parts of a path.
      pattern: parts of a glob; "**" stands for any number of folders.
      below: say instead whether something below `path` could match.
    """
    if not pattern:
        return True
    if not path:
        return below or all(part == "**" for part in pattern)
    if pattern[0] == "**":
        return _matches(path, pattern[1:], below=below) or _matches(path[1:], pattern, below=below)
    return fnmatchcase(path[0], pattern[0]) and _matches(path[1:], pattern[1:], below=below)


def _scheme(location: str) -> str:
    return "" if local_path(location) is not None else location.partition("://")[0]


def _is_file(location: str) -> bool:
    if local_path(location) is not None:
        return os.path.lexists(location) and not os.path.isdir(location)
    return not _WILDCARD.search(location) and location in _match_remote(location)


def _is_folder(location: str) -> bool:
    if local_path(location) is not None:
        return os.path.isdir(location + "/")
    return not _WILDCARD.search(location)  # object stores have no folders: what is below it decides


def _common(paths: Sequence[list[str]]) -> list[str]:
    """Give the parts that all paths begin with."""
    return [column[0] for column in itertools.takewhile(lambda column: len({*column}) == 1, zip(*paths, strict=False))]


def _below(root: Sequence[str], location: str) -> str:
    """Give the part of a location below the root, which is in parts."""
    return "/".join(location.split("/")[len(root) :])


def _text(path: str) -> str:
    r"""Make a path text that can be written: bytes that are not UTF-8 become \xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _uri(location: str) -> str:
    """Give a location as text that can be written: the path itself, or a file URI where it is not UTF-8."""
    try:
        location.encode()
    except UnicodeEncodeError:
        return "file://" + urllib.parse.quote(os.fsencode(location))
    return location
