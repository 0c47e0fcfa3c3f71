"""Manifests and lists as a source: a table with a row for each sound, or a text file with a path on each line.

Takes paths or URIs of manifests (`pipelines.tables.table_reader`) or of lists (a path, folder or glob on each line, #
begins a comment); gives a `SoundFileRef` for each row or file, as it is read, or a `Failure`.

Conventions: paths are relative to the root that the user gives, or else to the folder of the manifest or list
(`pipelines.tables.row_paths`). A relative path has to lie below that folder, links followed. Absolute paths may lead
anywhere, as the user gave the table; but where a root was given they have to lie below it, and in a table of another
file system below its folder. Ids are paths below the root, or absolute ones without their first slash; a piece of a
file has "#t=START,END" in seconds. Without a column of labels the label is the name of the file's folder.
"""

from __future__ import annotations

import itertools
import os
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipelines.clips.listing import Skipped, SourceError, TableNotes, file_item
from pipelines.clips.references import Failure, SoundFileRef
from pipelines.clips.splits import split_fault
from pipelines.files.locations import as_text, as_uri, local_path, locate, resolve
from pipelines.sources.folders import WILDCARD, common, find
from pipelines.tables.columns import Columns, Entry, Reader, reader
from pipelines.tables.events import joined
from pipelines.tables.row_paths import AmbiguousPathError, RowPaths
from pipelines.tables.table_reader import open_table, text_lines


def list_manifests(
    manifests: Sequence[str], columns: Columns, root: str | None, notes: TableNotes
) -> Iterator[SoundFileRef | Failure]:
    """List the sounds in the rows of tables, in their order.

    `root` is the folder that paths are relative to and have to lie in; None: that of each manifest. Raises
    `SourceError` if a table cannot be read, lacks a column, or names no file; by the call itself where the first row or
    the header shows it.
    """
    readers = [reader(open_table(manifest), columns) for manifest in manifests]
    top = _root(root, manifests)
    found = itertools.chain.from_iterable(_noted_items(each, root, top, notes) for each in readers)
    empty = f"{manifests[0]!r} has no row below its header that names a file; expected one for each sound"
    return _not_empty(found, empty)


def list_lists(
    lists: Sequence[str], root: str | None, notes: TableNotes, skipped: Skipped | None
) -> Iterator[SoundFileRef | Failure]:
    """List the files that the lines of text files name, in their order.

    `skipped` counts files below folders that they name; the rest is as in `list_manifests`.
    """
    top = _root(root, lists)
    found = itertools.chain.from_iterable(_list_items(each, root, top, notes, skipped) for each in lists)
    return _not_empty(found, f"{lists[0]!r} names no file; expected a path or a glob on each line")


def _not_empty(items: Iterator[SoundFileRef | Failure], error: str) -> Iterator[SoundFileRef | Failure]:
    first = next(items, None)
    if first is None:
        raise SourceError(error)
    return itertools.chain([first], items)


def _root(root: str | None, files: Sequence[str]) -> str:
    """Return the folder that ids are relative to: the root, or what the folders of the files share."""
    if root is not None:
        return locate(root)
    return "/".join(common([_folder(file).split("/") for file in files]))


def _folder(file: str) -> str:
    return locate(file).rpartition("/")[0]


def _noted_items(rows: Reader, root: str | None, top: str, notes: TableNotes) -> Iterator[SoundFileRef | Failure]:
    """Give the items of a table, and add to the notes at the end."""
    labels: set[str] = set()
    paths = _row_paths(rows.table.uri, root)
    for item in _manifest_items(rows, root, top, paths):
        if isinstance(item, SoundFileRef):
            labels.update(item.labels)
        yield item
    notes.tables += 1
    notes.labels |= labels
    missing = paths.note()
    notes.lines += filter(None, [rows.note(len(labels)), missing and f"{rows.table.uri!r}: {missing}"])


def _row_paths(file: str, root: str | None) -> RowPaths:
    """Return the folders that paths are relative to: the root first, if there is one, then the file's own."""
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
    """Apply a row to its file."""
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
    file: str, root: str | None, top: str, notes: TableNotes, skipped: Skipped | None
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
    notes.lines += [f"{file!r}: {missing}"] if missing else []


def _expanded(written: str, paths: RowPaths, skipped: Skipped | None) -> Iterator[str | Failure]:
    """Give the files that a line names: itself, or those of its folder, or those that its glob matches."""
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
            found.count_skipped(skipped, base.split("/"))
            return itertools.chain(found.failures, sorted(found.files))
    return iter([written])


def _starts(glob: str) -> bool:
    """Return whether the folder that a local glob starts from exists."""
    return local_path(glob) is not None and os.path.isdir(WILDCARD.split(glob)[0].rpartition("/")[0] + "/")


def _file(written: str, paths: RowPaths, top: str, row: str, *, confined: bool) -> SoundFileRef | Failure:
    """Find the file that a row or line names, and check that it lies below its root."""
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
    """Return the location of an absolute path or URI in a local table, None of anything else."""
    path = local_path(written)
    if local_path(base) is None or "\0" in written:
        return None
    if path is None:
        scheme, _, rest = written.partition("://")
        return f"{scheme}://{posixpath.normpath(rest)}"
    return os.path.normpath(path).replace(os.sep, "/") if os.path.isabs(path) and "\0" not in path else None


def _slashes(written: str, base: str) -> str:
    r"""Read "dog\*.wav", as Windows writes it, where no file here has that name."""
    if "\\" not in written or os.sep == "\\" or local_path(written) is None:
        return written
    there = "\0" not in written and local_path(base) is not None and os.path.lexists(os.path.join(base + "/", written))
    return written if there else written.replace("\\", "/")
