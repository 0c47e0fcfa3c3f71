"""Manifests and lists: a table whose rows are the sounds, or a text file whose lines name them.

Takes the path or URI of a manifest (`pipelines.tables.tables`; columns as in `pipelines.tables.columns`) or of a list
(one path, folder or glob a line, # begins a comment); gives a `SoundFileRef` for each row or file, as it is read, or a
`Failure`.

Conventions: paths are relative to the root that the user gives, or else to the folder of the manifest or list, and are
read as `pipelines.tables.row_paths` says. What a relative path names has to lie below that folder, links followed.
Absolute paths may lead anywhere, as the user gave the table that they stand in; but where a root was given they have to
lie below it, and in a table of another file system below its folder. Ids are paths below the root, or absolute ones
without their first slash; where a row is a piece of its file, "#t=START,END" in seconds follows. Without a column of
labels the label is the name of the file's folder.
"""

from __future__ import annotations

import itertools
import os
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipelines.clips.listing import Skipped, SourceError, Told, file_item
from pipelines.clips.references import Failure, SoundFileRef
from pipelines.clips.splits import split_fault
from pipelines.files.locations import as_text, as_uri, local_path, locate, resolve
from pipelines.sources.folders import WILDCARD, find
from pipelines.tables.columns import Columns, Entry, Reader, reader
from pipelines.tables.events import joined
from pipelines.tables.row_paths import AmbiguousPathError, RowPaths
from pipelines.tables.tables import open_table, text_lines


def list_manifests(
    manifests: Sequence[str], *, columns: Columns, root: str | None = None, told: Told | None = None
) -> Iterator[SoundFileRef | Failure]:
    """List the sounds in the rows of tables.

    Args:
        manifests: paths or URIs.
        columns: names of their columns.
        root: folder that paths are relative to and have to lie in; None: that of each manifest.
        told: is given what is to be said of the tables.

    Returns:
        References and failures, in the order of the rows.

    Raises:
        SourceError: a table can not be read, lacks a column, or has no row that names a file; by the call itself where
            the first row or the header tells.
    """
    readers = [reader(open_table(manifest), columns) for manifest in manifests]
    top = _root(root, manifests)
    found = itertools.chain.from_iterable(_told_items(each, root, top, told or Told()) for each in readers)
    first = next(found, None)
    if first is None:
        raise SourceError(
            f"{manifests[0]!r} has no row below its header that names a file; expected one for each sound"
        )
    return itertools.chain([first], found)


def list_lists(
    lists: Sequence[str], *, root: str | None = None, told: Told | None = None, skipped: Skipped | None = None
) -> Iterator[SoundFileRef | Failure]:
    """List the files that the lines of text files name.

    Args:
        lists: paths or URIs.
        root: as in `list_manifests`.
        told: is given what is to be said of the lists.
        skipped: counts what is passed over below the folders that they name.

    Returns:
        References and failures, in the order of the lines.

    Raises:
        SourceError: a list can not be read, or holds no line.
    """
    top = _root(root, lists)
    found = itertools.chain.from_iterable(_list_items(each, root, top, told or Told(), skipped) for each in lists)
    first = next(found, None)
    if first is None:
        raise SourceError(f"{lists[0]!r} names no file; expected a path or a glob on each line")
    return itertools.chain([first], found)


def _root(root: str | None, files: Sequence[str]) -> str:
    """Give the folder that ids are relative to: the root, or what the folders of the files share."""
    if root is not None:
        return locate(root)
    folders = [_folder(file).split("/") for file in files]
    shared = itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*folders, strict=False))
    return "/".join(parts[0] for parts in shared)


def _folder(file: str) -> str:
    return locate(file).rpartition("/")[0]


def _told_items(rows: Reader, root: str | None, top: str, told: Told) -> Iterator[SoundFileRef | Failure]:
    """Give the items of a table, and say at the end what was found in it."""
    labels: set[str] = set()
    paths = _row_paths(rows.table.uri, root)
    for item in _manifest_items(rows, root, top, paths):
        if isinstance(item, SoundFileRef):
            labels.update(item.labels)
        yield item
    told.tables += 1
    told.labels |= labels
    missing = paths.note()
    told.notes += filter(None, [rows.note(len(labels)), missing and f"{rows.table.uri!r}: {missing}"])


def _row_paths(file: str, root: str | None) -> RowPaths:
    """Say what the paths in a manifest or list are relative to: the root first, if there is one, then its folder."""
    return RowPaths((_folder(file),) if root is None else (locate(root), _folder(file)))


def _manifest_items(rows: Reader, root: str | None, top: str, paths: RowPaths) -> Iterator[SoundFileRef | Failure]:
    manifest = rows.table.uri
    for entry in rows.entries() if rows.times.end is None else joined(rows.entries()):
        row = f"line {entry.line} of {manifest!r}"
        if entry.fault and not entry.path:
            name = f"{as_text(os.path.basename(manifest))}#line={entry.line}"
            yield Failure(manifest, name, "list", f"{row} {entry.fault}")
            continue
        item = _file(entry.path, paths, top, row, confined=root is not None)
        yield item if isinstance(item, Failure) else _with_entry(item, entry, row)


def _with_entry(file: SoundFileRef, entry: Entry, row: str) -> SoundFileRef | Failure:
    """Give a file what its row says."""
    item = replace(
        file,
        labels=file.labels if entry.labels is None else entry.labels,
        split=entry.split or file.split,
        groups=entry.groups,
        offset_seconds=entry.offset_seconds,
        duration_seconds=entry.duration_seconds,
    )
    fault = split_fault(item.split)
    if entry.fault or fault:
        error = f"{row} {entry.fault or f'has split {fault}'}"
        return Failure(file.uri, file.id if entry.fault else item.piece_id, "label", error)
    return item


def _list_items(
    file: str, root: str | None, top: str, told: Told, skipped: Skipped | None
) -> Iterator[SoundFileRef | Failure]:
    paths = _row_paths(file, root)
    for number, line in enumerate(text_lines(file), 1):
        written = line.strip()
        if not written or written.startswith("#"):
            continue
        row = f"line {number} of {file!r}"
        try:
            names = _expanded(written, paths, skipped)
            confined = root is not None or _absolute(written, paths.folders[0]) is None
        except SourceError as error:
            name = f"{as_text(os.path.basename(file))}#line={number}"
            yield Failure(file, name, "list", f"{row}: {error}")
            continue
        for name in names:
            yield name if isinstance(name, Failure) else _file(name, paths, top, row, confined=confined)
    missing = paths.note()
    told.notes += [f"{file!r}: {missing}"] if missing else []


def _expanded(written: str, paths: RowPaths, skipped: Skipped | None) -> Iterator[str | Failure]:
    """Give the files that a line names: itself, or what is in its folder, or what its glob matches."""
    for base in paths.folders:
        slashes = _slashes(written, base)
        local = local_path(base) is not None and local_path(slashes) is not None
        location = os.path.join(base + "/", local_path(slashes) or "") if local else slashes
        if not local and local_path(slashes) is not None:
            location = f"{base}/{slashes}"
        if local and "\0" in location:
            continue
        glob = WILDCARD.search(slashes) is not None and not (local and os.path.lexists(location))
        if (local and os.path.isdir(location)) or (glob and (base == paths.folders[-1] or _starts(location))):
            found = find(location)
            found.tell(skipped, base.split("/"))
            return itertools.chain(found.failures, sorted(found.files))
    return iter([written])


def _starts(glob: str) -> bool:
    """Tell whether there is a folder that a glob starts from, where it is local."""
    return local_path(glob) is not None and os.path.isdir(WILDCARD.split(glob)[0].rpartition("/")[0] + "/")


def _file(written: str, paths: RowPaths, top: str, row: str, *, confined: bool) -> SoundFileRef | Failure:
    """Find the file that a row or line names, and hold it to its root."""
    try:
        spelling, base = paths.find(written)
        if not confined and (location := _absolute(spelling, base)) is not None:
            below = location.partition("://")[2] if local_path(location) is None else location.lstrip("/")
        else:
            location, below = resolve(spelling, base, paths.folders[0])
    except AmbiguousPathError as error:
        return Failure(as_uri(written), as_text(written), "list", f"{row}: {error}")
    except ValueError as error:
        text = f"{row}: {error}; expected a path below it: give another root with --root, or correct the path"
        return Failure(as_uri(written), as_text(written), "list", text)
    return file_item(location, location[len(top) + 1 :] if location.startswith(top + "/") else below)


def _absolute(written: str, base: str) -> str | None:
    """Give the location of an absolute path or URI that stands in a local table, None of anything else."""
    path = local_path(written)
    if local_path(base) is None or "\0" in written:
        return None
    if path is None:
        scheme, _, rest = written.partition("://")
        return f"{scheme}://{posixpath.normpath(rest)}"
    return os.path.normpath(path).replace(os.sep, "/") if os.path.isabs(path) and "\0" not in path else None


def _slashes(written: str, base: str) -> str:
    r"""Read "dog\*.wav", as Windows writes it, where no file here is called so."""
    if "\\" not in written or os.sep == "\\" or local_path(written) is None:
        return written
    there = "\0" not in written and local_path(base) is not None and os.path.lexists(os.path.join(base + "/", written))
    return written if there else written.replace("\\", "/")
