"""Inputs: which kind of source the user means, and the list of all kinds.

A new kind of source is a function from what the user names and `SourceConfig` to a `Listing`, and a line in `SOURCES`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from pipelines.clips.listing import Listing, Skipped, SourceError, Told, chosen
from pipelines.clips.references import tidy
from pipelines.config.run_config import SourceConfig
from pipelines.files.locations import local_path
from pipelines.sources import folders, manifests, tfds_source, tfrecord_source
from pipelines.tables import tables
from pipelines.tables.column_names import LABELS
from pipelines.tables.columns import Columns

NAMES = ("name", "display_name")
"""Further names of the column of labels in a table of classes, such as YAMNet's."""


def list_inputs(inputs: Sequence[str], source: SourceConfig) -> Listing:
    """List what the inputs hold, by the configuration.

    Args:
        inputs: all of one kind.
        source: how they are read.

    Raises:
        SourceError: they can not be read.
    """
    if not inputs or not all(inputs):
        raise SourceError("no input given, or an empty one; expected at least one file, folder or glob")
    kinds = {kind_of(given): given for given in inputs}
    if len(kinds) > 1:
        found = ", ".join(f"{given!r} ({kind})" for kind, given in sorted(kinds.items()))
        raise SourceError(f"the inputs are of several kinds: {found}; expected one: run them one by one")
    kind = next(iter(kinds))
    if source.metadata is not None and kind != "files":
        raise SourceError(
            f"--metadata labels files, folders and globs, not {inputs[0]!r}, which is a {kind}; leave it out"
        )
    listing = SOURCES[kind](inputs, source)
    return replace(listing, items=chosen(listing.items, source.splits))


def check_there(inputs: Sequence[str], source: SourceConfig) -> None:
    """Refuse local inputs and tables that are not there, without listing or reading anything.

    TFDS datasets that are named, and other file systems, are left to `list_inputs`.

    Args:
        inputs: as `list_inputs` takes them.
        source: how they are read.

    Raises:
        SourceError: a file or folder does not exist.
    """
    for given in inputs:
        path = given.removeprefix(tfrecord_source.PREFIX)
        if not path or path.startswith(tfds_source.PREFIX) or local_path(path) is None:
            continue
        kind = kind_of(given)
        if kind in ("list", "manifest"):
            tables.check_there(path)
        elif kind != "tfds":
            folders.check_there(path)
    if source.metadata and local_path(source.metadata) is not None:
        tables.check_there(source.metadata)


def kind_of(given: str) -> str:
    """Tell which kind of source an input is: a key of `SOURCES`."""
    name = given.rstrip("/").rpartition("/")[2].lower()
    if given.startswith(tfds_source.PREFIX):
        return "tfds"
    if given.startswith(tfrecord_source.PREFIX):
        return "tfrecord"
    if tfds_source.is_dataset(given):
        return "tfds"
    if ".tfrecord" in name:
        return "tfrecord"
    if name.endswith(tuple(tables.FORMATS)):
        return "manifest"
    return "list" if name.endswith(".txt") else "files"


def place(given: str) -> str:
    """Give the path or URI in an input, "" where it is a name."""
    path = given.removeprefix(tfrecord_source.PREFIX)
    if not path.startswith(tfds_source.PREFIX):
        return path
    path = path.removeprefix(tfds_source.PREFIX)
    return path if tfds_source.is_dataset(path) else ""


def class_list(source: SourceConfig) -> tuple[str, ...]:
    """Return the labels in the order that the configuration gives; () if it gives none.

    A text file has a label on each line; a table, in its column of labels (or names).

    Raises:
        SourceError: the file can not be read, or names none.
    """
    if source.classes is None:
        return ()
    if not isinstance(source.classes, str):
        return tidy(map(str, source.classes))
    path = source.classes
    if path.lower().endswith(tuple(tables.FORMATS)):
        table = tables.open_table(path)
        column = next((name for name in (source.label_column, *LABELS, *NAMES) if name in table.columns), None)
        if column is None:
            raise SourceError(f"{path!r} has no column of labels; expected one of {(*LABELS, *NAMES)}")
        labels = tidy(tables.cell_text(row.cells.get(column)) or "" for row in table.rows([column]))
    else:
        labels = tidy(tables.text_lines(path))
    if not labels:
        raise SourceError(f"source.classes: {path!r} names no class; expected one on each line")
    return labels


def columns_of(source: SourceConfig) -> Columns:
    """Give the names of a table's columns."""
    return Columns(
        path=source.path_column,
        label=source.label_column,
        split=source.split_column,
        offset=source.offset_column,
        end=source.end_column,
        duration=source.duration_column,
        groups=source.group_columns,
        separator=source.label_separator,
    )


def _files(inputs: Sequence[str], source: SourceConfig) -> Listing:
    if source.group_columns and source.metadata is None:
        raise SourceError("group columns are those of a table: give --metadata, or a manifest as the input")
    told, skipped = Told(), Skipped()
    items = folders.list_files(inputs, metadata=source.metadata, columns=columns_of(source), told=told, skipped=skipped)
    return Listing(items, groups=tuple(sorted(source.group_columns)), told=told, skipped=skipped)


def _list(inputs: Sequence[str], source: SourceConfig) -> Listing:
    if source.group_columns:
        raise SourceError("group columns are those of a table: give a manifest as the input")
    told, skipped = Told(), Skipped()
    items = manifests.list_lists(inputs, root=source.root, told=told, skipped=skipped)
    return Listing(items, told=told, skipped=skipped)


def _manifest(inputs: Sequence[str], source: SourceConfig) -> Listing:
    told = Told()
    items = manifests.list_manifests(inputs, columns=columns_of(source), root=source.root, told=told)
    return Listing(items, groups=tuple(sorted(source.group_columns)), told=told)


def _tfds(inputs: Sequence[str], source: SourceConfig) -> Listing:
    if len(inputs) > 1:
        raise SourceError(f"{len(inputs)} TFDS datasets are given; expected one: run them one by one")
    return tfds_source.list_tfds(inputs[0], source)


SOURCES: dict[str, Callable[[Sequence[str], SourceConfig], Listing]] = {
    "files": _files,
    "list": _list,
    "manifest": _manifest,
    "tfds": _tfds,
    "tfrecord": tfrecord_source.list_tfrecords,
}
