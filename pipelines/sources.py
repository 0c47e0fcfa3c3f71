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

import csv
import difflib
import io
import itertools
import os
import re
import unicodedata
import urllib.parse
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from pipelines.clips import Failure, SoundFileRef, local_path

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

# What data sets call their columns, in order of precedence; compared without regard to case.
PATH_COLUMNS = (
    *("path", "filename", "file_name", "file", "fname", "audio", "audio_path", "slice_file_name", "filepath"),
    *("file_path", "audio_file", "audio_filename", "wav", "wav_path", "uri", "clip"),
)
LABEL_COLUMNS = (
    "label",
    "category",
    "class",
    "class_name",
    "classname",
    "labels",
    "tag",
    "tags",
    "target",
    "sound",
)
SPLIT_COLUMNS = ("split", "subset", "partition")

_WILDCARD = re.compile(r"[*?\[]")
_SPLIT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")  # it becomes part of file names


class SourceError(ValueError):
    """The inputs or the CSV can not be used, so the whole run can not start; the message is one line."""


@dataclass(frozen=True)
class Columns:
    """Names of the CSV's columns.

    Attributes:
      path: column that names the file; None takes the first of `PATH_COLUMNS` that is there.
      label: column that holds the class; None takes the first of `LABEL_COLUMNS` that is there.
      split: column that holds the split; None takes the first of `SPLIT_COLUMNS` that is there, if any.
    """

    path: str | None = None
    label: str | None = None
    split: str | None = None


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
    files += readable.values() if metadata is None else _labelled(readable, metadata, columns or Columns())
    return iter(sorted(files, key=lambda file: (file.id, file.uri)))


@dataclass(frozen=True)
class _Found:
    """What one input gave: its root, the locations of its files, and the folders that could not be read."""

    root: str
    files: list[str]
    failures: list[Failure]


def _find(given: str) -> _Found:
    """List what one input names."""
    location = _location(given)
    if _is_file(location):
        return _Found(location.rpartition("/")[0], [location], [])
    root, pattern = location, ()
    if not _is_folder(location) and _WILDCARD.search(location):
        parts = location.split("/")
        fixed = next(i for i, part in enumerate(parts) if _WILDCARD.search(part))
        root, pattern = "/".join(parts[:fixed]), tuple(parts[fixed:])
    if not _is_folder(root):
        raise SourceError(f"input {given!r} does not exist; expected a file, a folder or a glob{_nearest(root)}")
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


@dataclass(frozen=True)
class _Row:
    """One row of the CSV; `label` and `split` are None where there is no such column."""

    line: int
    path: str
    label: str | None
    split: str | None


def _labelled(files: dict[str, SoundFileRef], metadata: str, columns: Columns) -> Iterator[SoundFileRef | Failure]:
    """Give the files (by location) the labels and splits of the CSV."""
    rows, path_column = _read_rows(metadata, columns)
    folder = _location(metadata).rpartition("/")[0]
    by_path: dict[str, list[_Row]] = defaultdict(list)
    by_name: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        for key in _keys(row.path, folder):
            by_path[key].append(row)
        name = _key(row.path).rpartition("/")[2]
        by_name[name].append(row)
    names = Counter(_key(location).rpartition("/")[2] for location in files)
    matched = {}
    for location, file in files.items():
        name = _key(location).rpartition("/")[2]
        own = by_path.get(unicodedata.normalize("NFC", file.id)) or by_path.get(_key(location)) or []
        if not own and names[name] == 1:
            named = by_name.get(name) or by_name.get(name.rpartition(".")[0]) or []  # FSD50K leaves .wav out
            own = [row for row in named if _key(location).endswith("/" + _key(row.path))] or named
        matched[location] = own
    if files and not any(matched.values()):
        first = next(iter(files.values())).id
        raise SourceError(
            f"no row of {metadata!r} names any of the {len(files)} files: its column {path_column!r} says "
            f"{rows[0].path!r}, a file is {first!r}; expected the same path, or the same file name"
        )
    for location, file in files.items():
        yield _with_row(file, matched[location], metadata, path_column, shared=names[_key(location).rpartition("/")[2]])


def _with_row(
    file: SoundFileRef, rows: list[_Row], metadata: str, path_column: str, *, shared: int
) -> SoundFileRef | Failure:
    """Give one file what its rows say; `shared` files have its base name."""
    error = None
    if not rows:
        hint = f" (its name alone is not enough: {shared} files share it)" if shared > 1 else ""
        error = (
            f"has no row in {metadata!r}; add one with {file.id!r} in column {path_column!r}{hint}, or "
            "remove the file from the inputs"
        )
    elif other := next((row for row in rows if (row.label, row.split) != (rows[0].label, rows[0].split)), None):
        error = f"has rows in {metadata!r} that disagree: {_said(rows[0])}, {_said(other)}; leave only the right one"
    elif rows[0].label == "":
        error = f"has no label on line {rows[0].line} of {metadata!r}; write one there, or remove the file"
    elif rows[0].split and (not _SPLIT_NAME.fullmatch(rows[0].split) or rows[0].split == "all"):
        error = (
            f"has split {rows[0].split!r} on line {rows[0].line} of {metadata!r}; expected letters, "
            "digits, _ and -, such as 'train'"
        )
    if error:
        return Failure(uri=file.uri, id=file.id, stage="label", error=f"{file.id!r} {error}")
    row = rows[0]
    return replace(file, label=file.label if row.label is None else row.label, split=row.split or file.split)


def _said(row: _Row) -> str:
    """Quote a row for a message."""
    return f"line {row.line} says {row.label!r}" + (f" in split {row.split!r}" if row.split else "")


def _read_rows(metadata: str, columns: Columns) -> tuple[list[_Row], str]:
    """Read the CSV: its rows that name a file, and the name of the column where they do."""
    text = _read_text(metadata)
    first = text.splitlines()[0] if text.strip() else ""
    delimiter = "\t" if metadata.lower().endswith((".tsv", ".tab")) else max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        table = [(reader.line_num, cells) for cells in reader]
    except csv.Error as error:
        raise SourceError(
            f"{metadata!r} is not a readable table: line {reader.line_num}: {error}; expected CSV with a header row"
        ) from error
    path = _column(header, columns.path, PATH_COLUMNS, metadata)
    label = _column(header, columns.label, LABEL_COLUMNS, metadata)
    split = _column(header, columns.split, SPLIT_COLUMNS, metadata)
    there = f"its columns are {', '.join(map(repr, header))}" if header else "it is empty"
    if path is None:
        raise SourceError(f"{metadata!r} has no column that names files: {there}; expected one of {PATH_COLUMNS}")
    if label is None and split is None:
        raise SourceError(f"{metadata!r} has no column of labels: {there}; expected one of {LABEL_COLUMNS}")

    def cell(cells: list[str], column: int | None) -> str | None:
        return None if column is None else cells[column].strip() if column < len(cells) else ""

    rows = [_Row(line, cell(cells, path) or "", cell(cells, label), cell(cells, split)) for line, cells in table]
    rows = [row for row in rows if row.path]
    if not rows:
        raise SourceError(f"{metadata!r} has no row below its header that names a file; expected one for each file")
    return rows, header[path]


def _read_text(metadata: str) -> str:
    """Read the CSV's text, which is UTF-8 with or without a mark."""
    path = local_path(metadata)
    try:
        if path is None:
            from apache_beam.io.filesystem import CompressionTypes
            from apache_beam.io.filesystems import FileSystems

            with FileSystems.open(metadata, compression_type=CompressionTypes.UNCOMPRESSED) as stream:
                return stream.read().decode("utf-8-sig")
        with open(os.path.expanduser(path), encoding="utf-8-sig", newline="") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{metadata!r} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from error
    except FileNotFoundError as error:
        near = _nearest(_location(metadata))
        raise SourceError(f"metadata {metadata!r} does not exist; expected a CSV with a header row{near}") from error
    except Exception as error:  # remote clients raise what they like; locally a folder, or no permission
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise SourceError(
            f"metadata {metadata!r} can not be read ({reason}); expected a CSV with a header row"
        ) from error


def _column(header: list[str], chosen: str | None, known: Sequence[str], metadata: str) -> int | None:
    """Find a column by the name that the user chose, or by those that are known."""
    folded = [name.lower() for name in header]
    if chosen is None:
        return next((folded.index(name) for name in known if name in folded), None)
    if chosen in header:
        return header.index(chosen)
    if chosen.lower() in folded:
        return folded.index(chosen.lower())
    there = f"its columns are {', '.join(map(repr, header))}" if header else "it is empty"
    near = difflib.get_close_matches(chosen.lower(), folded, n=1)
    hint = f"; did you mean {header[folded.index(near[0])]!r}?" if near else ""
    raise SourceError(f"{metadata!r} has no column {chosen!r}: {there}{hint}")


def _key(path: str) -> str:
    """Spell a path as it is compared: one form of accents (macOS decomposes them), forward slashes."""
    return unicodedata.normalize("NFC", path.replace("\\", "/").removeprefix("./"))


def _keys(path: str, folder: str) -> set[str]:
    """Give the ways to read a row's path: as an id, and relative to the CSV's folder or absolute."""
    key = _key(path)
    if local_path(key) is None:
        return {key}
    absolute = os.path.normpath(os.path.join(folder, key)) if local_path(folder) is not None else f"{folder}/{key}"
    return {unicodedata.normalize("NFC", path), key, _key(absolute)}


def _location(given: str) -> str:
    """Spell an input as an absolute path with forward slashes, or as a URI, without a slash at the end."""
    path = local_path(given)
    if path is None:
        return given.rstrip("/")
    path = os.path.abspath(os.path.expanduser(path))
    return path.replace(os.sep, "/").rstrip("/")


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


def _nearest(path: str) -> str:
    """Suggest what may have been meant by a path that is not there."""
    if local_path(path) is None:
        return ""
    parts = path.split("/")
    there = next((i for i in range(len(parts) - 1, 0, -1) if os.path.isdir("/".join(parts[:i]) + "/")), 0)
    if not there:
        return ""
    parent = "/".join(parts[:there])
    try:
        near = difflib.get_close_matches(parts[there], os.listdir(parent + "/"), n=3, cutoff=0.6)
    except OSError:
        return ""
    if near:
        return f"; did you mean {' or '.join(repr(f'{parent}/{name}') for name in near)}?"
    return f"; {parent + '/'!r} exists, {parts[there]!r} is not in it"
