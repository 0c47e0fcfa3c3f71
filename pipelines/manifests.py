"""Manifests and lists: a table whose rows are the sounds, or a text file whose lines name them.

Takes the path or URI of a manifest (`pipelines.tables`; columns as in `pipelines.columns`) or of a list (one path,
folder or glob a line, # begins a comment); gives a `SoundFileRef` for each row or file, as it is read, or a `Failure`.

Conventions: paths are relative to the folder of the manifest or list. All that they name has to lie below the root,
links followed: that folder, or the one that the user gives. Ids are paths below the root; where a row is a piece of its
file, "#t=START,END" in seconds follows. Without a column of labels the label is the name of the file's folder.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipelines.clips import Failure, SoundFileRef
from pipelines.columns import Columns, Entry, Reader, reader
from pipelines.listing import Skipped, SourceError, file_item
from pipelines.locations import as_text, as_uri, local_path, locate, resolve
from pipelines.sources import WILDCARD, find
from pipelines.splits import split_fault
from pipelines.tables import open_table, text_lines


def list_manifests(
    manifests: Sequence[str], *, columns: Columns, root: str | None = None
) -> Iterator[SoundFileRef | Failure]:
    """List the sounds in the rows of tables.

    Args:
        manifests: paths or URIs.
        columns: names of their columns.
        root: folder that the sounds have to lie in; None: that of each manifest.

    Returns:
        References and failures, in the order of the rows.

    Raises:
        SourceError: a table can not be read, lacks a column, or has no row that names a file; by the call itself where
            the first row or the header tells.
    """
    readers = [reader(open_table(manifest), columns) for manifest in manifests]
    top = _root(root, manifests)
    found = itertools.chain.from_iterable(_manifest_items(each, root, top) for each in readers)
    first = next(found, None)
    if first is None:
        raise SourceError(
            f"{manifests[0]!r} has no row below its header that names a file; expected one for each sound"
        )
    return itertools.chain([first], found)


def list_lists(
    lists: Sequence[str], *, root: str | None = None, skipped: Skipped | None = None
) -> Iterator[SoundFileRef | Failure]:
    """List the files that the lines of text files name.

    Args:
        lists: paths or URIs.
        root: as in `list_manifests`.
        skipped: counts what is passed over below the folders that they name.

    Returns:
        References and failures, in the order of the lines.

    Raises:
        SourceError: a list can not be read, or holds no line.
    """
    top = _root(root, lists)
    found = itertools.chain.from_iterable(_list_items(each, root, top, skipped) for each in lists)
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


def _manifest_items(rows: Reader, root: str | None, top: str) -> Iterator[SoundFileRef | Failure]:
    manifest = rows.table.uri
    base = _folder(manifest)
    allowed = base if root is None else locate(root)
    for entry in rows.entries():
        row = f"line {entry.line} of {manifest!r}"
        if entry.fault and not entry.path:
            name = f"{as_text(os.path.basename(manifest))}#line={entry.line}"
            yield Failure(manifest, name, "list", f"{row} {entry.fault}")
            continue
        item = _below_root(_slashes(entry.path, base), base, allowed, top, row)
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


def _list_items(file: str, root: str | None, top: str, skipped: Skipped | None) -> Iterator[SoundFileRef | Failure]:
    base = _folder(file)
    allowed = base if root is None else locate(root)
    for number, line in enumerate(text_lines(file), 1):
        written = line.strip()
        if not written or written.startswith("#"):
            continue
        row = f"line {number} of {file!r}"
        try:
            names = _expanded(_slashes(written, base), base, skipped)
        except SourceError as error:
            name = f"{as_text(os.path.basename(file))}#line={number}"
            yield Failure(file, name, "list", f"{row}: {error}")
            continue
        for name in names:
            yield name if isinstance(name, Failure) else _below_root(name, base, allowed, top, row)


def _expanded(written: str, base: str, skipped: Skipped | None) -> Iterator[str | Failure]:
    """Give the files that a line names: itself, or what is in its folder, or what its glob matches."""
    local = local_path(base) is not None and local_path(written) is not None
    location = os.path.join(base + "/", local_path(written) or "") if local else written
    if not local and local_path(written) is not None:
        location = f"{base}/{written}"
    if local and "\0" in location:
        return iter([written])
    if (WILDCARD.search(written) and not (local and os.path.lexists(location))) or (local and os.path.isdir(location)):
        found = find(location)
        found.tell(skipped, base.split("/"))
        return itertools.chain(found.failures, sorted(found.files))
    return iter([written])


def _below_root(written: str, base: str, allowed: str, top: str, row: str) -> SoundFileRef | Failure:
    """Find a file that a row or line names, and hold it to its root."""
    try:
        location, below = resolve(written, base, allowed)
    except ValueError as error:
        text = f"{row}: {error}; expected a path below it: give another root with --root, or correct the path"
        return Failure(as_uri(written), as_text(written), "list", text)
    return file_item(location, location[len(top) + 1 :] if location.startswith(top + "/") else below)


def _slashes(written: str, base: str) -> str:
    r"""Read "dog\a.wav", as Windows writes it, where no file here is called so."""
    if "\\" not in written or os.sep == "\\" or local_path(written) is None:
        return written
    there = "\0" not in written and local_path(base) is not None and os.path.lexists(os.path.join(base + "/", written))
    return written if there else written.replace("\\", "/")
