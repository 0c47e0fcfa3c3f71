"""Tables of labels: which label and split each listed file has.

Takes listed files, and the path or URI of a table (`pipelines.tables.table_reader`) with a column of paths; gives the
same files with the labels, splits and groups of their rows, or a `Failure` for a file whose rows do not settle them.

Conventions: a row belongs to the file whose id it names, or whose path relative to the table's folder, or, where it is
the only one, whose base name. Paths are compared letter for letter, with forward slashes and in Unicode's form NFC. A
table that cannot be used at all is a `SourceError`.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from pipelines.clips.listing import SourceError, TableNotes
from pipelines.clips.references import Failure, SoundFileRef
from pipelines.clips.splits import split_fault
from pipelines.files.locations import local_path, locate
from pipelines.tables.column_names import Times, find_times
from pipelines.tables.columns import Columns, Entry, Reader, no_labels, quoted, reader
from pipelines.tables.table_reader import open_table


def label_files(
    files: Mapping[str, SoundFileRef], metadata: str, columns: Columns, *, notes: TableNotes
) -> Iterator[SoundFileRef | Failure]:
    """Give the files the labels, splits and groups of a table, in their order.

    A file is a failure of stage "label" where it has no row, no label, rows that disagree, or a split that cannot be
    part of a file's name. Without a column of labels a file keeps its label, without a split in its row its split.

    Args:
        files: references by location (`locations.locate`).
        metadata: path or URI of the table.
        columns: names of its columns; offsets and durations are ignored, as its rows stand for whole files.
        notes: collects what was found, what is not used, and rows of no file here.

    Raises:
        SourceError: with the first file: the table cannot be read, lacks a column, or names none of the files.
    """
    entries, found = _read_entries(metadata, columns)
    folder = locate(metadata).rpartition("/")[0]
    by_path: dict[str, list[Entry]] = defaultdict(list)
    by_name: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        for key in _keys(entry.path, folder):
            by_path[key].append(entry)
        name = _key(entry.path).rpartition("/")[2]
        by_name[name].append(entry)
    names = Counter(_key(location).rpartition("/")[2] for location in files)
    matched = {}
    for location, file in files.items():
        name = _key(location).rpartition("/")[2]
        own = by_path.get(unicodedata.normalize("NFC", file.id)) or by_path.get(_key(location)) or []
        if not own and names[name] == 1:
            named = by_name.get(name) or by_name.get(name.rpartition(".")[0]) or []  # FSD50K leaves .wav out
            own = [entry for entry in named if _key(location).endswith("/" + _key(entry.path))] or named
        matched[location] = own
    if files and not any(matched.values()):
        first = next(iter(files.values())).id
        raise SourceError(
            f"no row of {metadata!r} names any of the {len(files)} files: its column {found.path!r} says "
            f"{entries[0].path!r}, a file is {first!r}; expected the same path, or the same file name"
        )
    labels: set[str] = set()
    for location, file in files.items():
        shared = names[_key(location).rpartition("/")[2]]
        item = _with_row(file, matched[location], metadata, found, shared=shared)
        labels.update(item.labels if isinstance(item, SoundFileRef) else ())
        yield item
    notes.tables += 1
    notes.labels |= labels
    used = {entry.line for own in matched.values() for entry in own}
    notes.lines += filter(None, [found.note(len(labels)), _unused_rows(entries, used, metadata)])


def _unused_rows(entries: list[Entry], used: Collection[int], metadata: str) -> str:
    """Return a note on rows that belong to none of the files, "" if all do."""
    unused = [entry for entry in entries if entry.line not in used]
    if not unused:
        return ""
    what = f"{len(unused)} of the {len(entries)} rows name no file among the inputs"
    return f"{metadata!r}: {what}, such as {unused[0].path!r} on line {unused[0].line}"


def _with_row(
    file: SoundFileRef, rows: list[Entry], metadata: str, found: Reader, *, shared: int
) -> SoundFileRef | Failure:
    """Apply its rows to a file; `shared` files have its base name."""
    error = None
    if not rows:
        hint = f" (its name alone is not enough: {shared} files share it)" if shared > 1 else ""
        error = (
            f"has no row in {metadata!r}; add one with {file.id!r} in column {found.path!r}{hint}, or "
            "remove the file from the inputs"
        )
    elif other := next((row for row in rows if _content(row) != _content(rows[0])), None):
        error = f"has rows in {metadata!r} that disagree: {quoted(rows[0])}, {quoted(other)}; leave only the right one"
        if find_times(found.table.columns, Times(), found.path).end is not None:
            error += f", or, if its rows are events, give the table itself: --input {metadata} --root FOLDER"
    elif rows[0].fault:
        error = f"has a row on line {rows[0].line} of {metadata!r} that {rows[0].fault}"
    elif rows[0].labels == ():
        error = f"has no label on line {rows[0].line} of {metadata!r}; write one there, or remove the file"
    elif rows[0].split and (fault := split_fault(rows[0].split)):
        error = f"has split on line {rows[0].line} of {metadata!r}: {fault}"
    if error:
        return Failure(uri=file.uri, id=file.id, stage="label", error=f"{file.id!r} {error}")
    row = rows[0]
    labels = file.labels if row.labels is None else row.labels
    return replace(file, labels=labels, split=row.split or file.split, groups=row.groups)


def _content(entry: Entry) -> tuple[object, ...]:
    return entry.labels, entry.split, entry.groups, entry.fault


def _read_entries(metadata: str, columns: Columns) -> tuple[list[Entry], Reader]:
    """Read the rows that name a file, and return how they were read."""
    table = open_table(metadata)
    found = reader(table, columns)
    if found.label is None and not found.hot and found.split is None and not found.groups:
        raise no_labels(table)
    found = replace(found, times=Times())
    entries = list(found.entries())
    if broken := next((entry for entry in entries if entry.fault and not entry.path), None):
        raise SourceError(f"{metadata!r} is not a readable table: line {broken.line} {broken.fault}")
    if not entries:
        raise SourceError(f"{metadata!r} has no row below its header that names a file; expected one for each file")
    return entries, found


def _key(path: str) -> str:
    """Spell a path for comparison: one form of accents (macOS decomposes them), forward slashes."""
    return unicodedata.normalize("NFC", path.replace("\\", "/").removeprefix("./"))


def _keys(path: str, folder: str) -> set[str]:
    """Return the ways to read a row's path: as an id, and relative to the table's folder or absolute."""
    key = _key(path)
    if local_path(key) is None:
        return {key}
    absolute = os.path.normpath(os.path.join(folder, key)) if local_path(folder) is not None else f"{folder}/{key}"
    return {unicodedata.normalize("NFC", path), key, _key(absolute)}
