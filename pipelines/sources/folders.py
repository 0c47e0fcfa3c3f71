r"""Files, folders and globs as a source: from paths to a list of labelled sound files.

Takes paths of this machine, or of any file system that Beam opens, and optionally a table of labels; gives
`SoundFileRef` and `Failure`, sorted by id. Nothing is decoded.

Conventions: an id is the POSIX path below the root of the inputs (the deepest folder that they share; a glob counts by
its part before the first wildcard); bytes that are not UTF-8 become \xNN. Without a table the label is the name of the
file's folder, below the root. Hidden files are not listed; linked folders are entered once.
"""

from __future__ import annotations

import heapq
import itertools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from pipelines.clips.listing import OTHER_SOUND_ENDINGS, SOUND_ENDINGS, Skipped, SourceError, TableNotes, file_item
from pipelines.clips.references import Failure, SoundFileRef
from pipelines.files.locations import as_text, as_uri, local_path, locate, nearest
from pipelines.messages import one_line
from pipelines.sources.metadata import label_files
from pipelines.tables.columns import Columns

WILDCARD = re.compile(r"[*?\[]")


def list_files(
    inputs: str | Sequence[str | os.PathLike[str]],
    *,
    metadata: str | None = None,
    columns: Columns | None = None,
    notes: TableNotes | None = None,
    skipped: Skipped | None = None,
) -> Iterator[SoundFileRef | Failure]:
    """List the sound files that the inputs name, with their labels, sorted by id, each once.

    Args:
        inputs: each a file, a folder (all audio below it), or a glob (`*`, `?`, `[...]`, and `**` for any folders; a
            folder that it matches is taken whole).
        metadata: table with a header row (`pipelines.sources.metadata`).
        columns: names of its columns; None detects all.
        notes: collects notes on the table.
        skipped: counts skipped files.

    Raises:
        SourceError: by the call itself: an input is missing or holds no audio, or the table cannot be used.
    """
    names = [inputs] if isinstance(inputs, str) else [os.fspath(each) for each in inputs]
    if not all(names) or not names:
        raise SourceError("no input given, or an empty one; expected at least one file, folder or glob")
    found = [find(given) for given in names]
    if len({_scheme(each.root) for each in found}) > 1:
        roots = ", ".join(sorted({repr(each.root) for each in found}))
        raise SourceError(f"the inputs lie on different file systems ({roots}); expected one: run them one by one")
    root = common([each.root.split("/") for each in found])
    for each in found:
        each.count_skipped(skipped, root, but=locate(metadata) if metadata else None)
    failures = {local_path(failure.uri) or failure.uri: failure for each in found for failure in each.failures}
    locations = [location for each in found for location in each.files]
    locations.sort()
    items = _items(locations, failures, root)
    if metadata is None:
        return items
    listed = list(items)
    files = {locate(item.uri): item for item in listed if isinstance(item, SoundFileRef)}
    labelled = label_files(files, metadata, columns or Columns(), notes=notes or TableNotes())
    rest = (item for item in listed if isinstance(item, Failure))
    return iter(sorted(itertools.chain(labelled, rest), key=lambda item: (item.id, item.uri)))


def _items(locations: list[str], failures: dict[str, Failure], root: Sequence[str]) -> Iterator[SoundFileRef | Failure]:
    """Give the items of sorted locations and of failures, each once, in order."""
    previous = None
    for location in heapq.merge(locations, sorted(failures)):
        if location == previous:
            continue
        previous = location
        below = _below(root, location)
        yield replace(failures[location], id=as_text(below)) if location in failures else file_item(location, below)


class MissingInputError(SourceError):
    """An input does not exist; `hint` is the end of the message, with the nearest names."""

    def __init__(self, given: str, hint: str):
        super().__init__(f"input {given!r} does not exist; expected a file, a folder or a glob{hint}")
        self.given, self.hint = given, hint


@dataclass(frozen=True)
class Found:
    """The files of one input."""

    root: str  # its folder
    files: list[str]  # locations of its files
    failures: list[Failure]  # the folders that could not be read
    others: list[str]  # locations of skipped files, hidden ones and empty folders (these end in /)

    def count_skipped(
        self, skipped: Skipped | None, root: Sequence[str] | None = None, *, but: str | None = None
    ) -> None:
        """Count skipped files, except for the location `but`; folders are below `root` (in parts; None: this one's)."""
        if skipped is None:
            return
        parts = self.root.split("/") if root is None else root
        with_sound = {folder for file in self.files for folder in _folders(file, self.root)}
        without = set()
        for other in self.others:
            name = other.rpartition("/")[2]
            if name and other != but:
                skipped.add(name)
            if not name.startswith("."):
                without.add(next((each for each in _folders(other, self.root) if each not in with_sound), None))
        skipped.folders += sorted(as_text(_below(parts, folder)) for folder in without if folder is not None)


def _folders(location: str, root: str) -> Iterator[str]:
    """Give the folders below a root that hold a location, the topmost first."""
    end = location.find("/", len(root) + 1)
    while end >= 0:
        yield location[:end]
        end = location.find("/", end + 1)


def find(given: str, *, endings: tuple[str, ...] = SOUND_ENDINGS + OTHER_SOUND_ENDINGS) -> Found:
    """List the files that a path, folder or glob names, unsorted; () as endings takes all.

    Raises `SourceError` for none.
    """
    location = locate(given)
    if _is_file(location):
        return Found(location.rpartition("/")[0], [location], [], [])
    root, pattern = _root_and_pattern(location, given)
    walk = _walk if local_path(root) is not None else _walk_remote
    files: list[str] = []
    failures: list[Failure] = []
    others: list[str] = []
    for each in walk(root, lambda parts: _matches(parts, pattern, below=True)):
        if isinstance(each, Failure):
            failures.append(each)
        elif _matches(each, pattern):
            hidden = any(part.startswith(".") for part in each)
            taken = not hidden and each[-1] and (not endings or each[-1].lower().endswith(endings))
            (files if taken else others).append("/".join((root, *each)))
    if not files and not failures:
        what = f"glob {given!r} matches" if pattern else f"folder {given!r} holds"
        names = sorted(
            other[len(root) + 1 :] for other in others if not other.rpartition("/")[2].startswith((".", "/"))
        )
        named = [name for name in names if not name.endswith("/")]
        found = f"{len(named)} other files, such as {named[0]!r}" if named else "no files at all"
        raise SourceError(f"{what} no audio but {found}; expected files that end in {', '.join(SOUND_ENDINGS)}")
    return Found(root, files, failures, others)


def check_there(given: str) -> None:
    """Refuse a file, folder or glob that does not exist, without listing anything. Raises `MissingInputError`."""
    location = locate(given)
    if not _is_file(location):
        _root_and_pattern(location, given)


def _root_and_pattern(location: str, given: str) -> tuple[str, tuple[str, ...]]:
    """Split a location that is no file into an existing folder and the parts of a glob below it, () for none."""
    root, pattern = location, ()
    if not _is_folder(location) and WILDCARD.search(location):
        parts = location.split("/")
        fixed = next(i for i, part in enumerate(parts) if WILDCARD.search(part))
        root, pattern = "/".join(parts[:fixed]), tuple(parts[fixed:])
    if not _is_folder(root):
        raise MissingInputError(given, nearest(root))
    return root, pattern


def _walk(root: str, enter: Callable[[tuple[str, ...]], bool]) -> Iterator[tuple[str, ...] | Failure]:
    """List the files below a local folder as parts of their path; enter each real folder once, links last.

    Hidden folders are given like files, and not entered; an empty folder is given with an empty name in it.
    """
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
            what = f"folder {location!r} cannot be listed ({error.strerror}); check its permissions"
            yield Failure(uri=as_uri(location), id="", stage="list", error=what)
            continue
        if not names and parts:
            yield (*parts, "")
        for name in names:
            path = f"{location}/{name}"
            if name.startswith(".") or not os.path.isdir(path):
                yield (*parts, name)
            elif enter((*parts, name)):
                (links if os.path.islink(path) else folders).append((*parts, name))


def _walk_remote(root: str, enter: Callable[[tuple[str, ...]], bool]) -> Iterator[tuple[str, ...]]:
    """List the files below a folder of another file system as parts of their path; such a listing is flat."""
    for path in _match_remote(f"{root}/**"):
        parts = tuple(path[len(root) + 1 :].split("/"))
        if parts[-1]:
            yield parts


def _match_remote(pattern: str) -> list[str]:
    """List the files that Beam finds."""
    from apache_beam.io.filesystems import FileSystems

    try:
        return [metadata.path for metadata in FileSystems.match([pattern])[0].metadata_list]
    except Exception as error:  # the clients of storage services raise what they like
        raise SourceError(
            f"{pattern!r} cannot be listed ({one_line(error)}); check its name and your access"
        ) from error


def _matches(path: tuple[str, ...], pattern: tuple[str, ...], *, below: bool = False) -> bool:
    """Return whether a path matches a glob, both in parts, or lies in a folder that does; "**" stands for any folders.

    With `below`, return instead whether something below the path could match.
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
    return not WILDCARD.search(location) and location in _match_remote(location)


def _is_folder(location: str) -> bool:
    if local_path(location) is not None:
        return os.path.isdir(location + "/")
    return not WILDCARD.search(location)  # object stores have no folders: what is below it decides


def common(paths: Sequence[list[str]]) -> list[str]:
    """Give the parts that all paths begin with."""
    return [column[0] for column in itertools.takewhile(lambda column: len({*column}) == 1, zip(*paths, strict=False))]


def _below(root: Sequence[str], location: str) -> str:
    """Give the part of a location below the root, which is in parts."""
    return "/".join(location.split("/")[len(root) :])
