"""Inputs: the list of all kinds of sources, and the choice of the one that the user means.

To add a kind of source, write a function from inputs and `SourceConfig` to a `Listing`, and add a line to `SOURCES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pipelines.clips.listing import Listing, Skipped, SourceError, TableNotes, chosen
from pipelines.clips.references import tidy
from pipelines.config.run_config import SourceConfig
from pipelines.files.locations import local_path
from pipelines.sources import folders, manifests, tfds_source, tfrecord_source
from pipelines.tables import table_reader
from pipelines.tables.column_names import LABELS
from pipelines.tables.columns import Columns

NAMES = ("name", "display_name")
"""Further names of the column of labels in a table of classes, such as YAMNet's."""


@dataclass(frozen=True)
class Source:
    """A kind of input."""

    accepts: str  # what a user may give, for messages
    list: Callable[[Sequence[str], SourceConfig], Listing]  # (inputs of this kind, configuration) -> their listing
    takes: Callable[[str], bool] = lambda given: False  # whether an input without a prefix is of this kind
    prefix: str = ""  # that an input of this kind may begin with
    # refuses a path that does not exist, without reading anything; None: inputs are names
    check: Callable[[str], None] | None = None


def list_inputs(inputs: Sequence[str], source: SourceConfig) -> Listing:
    """List what the inputs hold, all of one kind. Raises `SourceError` if they cannot be read."""
    if not inputs or not all(inputs):
        raise SourceError(f"no input given, or an empty one; expected {accepted()}")
    kinds = {kind_of(given): given for given in inputs}
    if len(kinds) > 1:
        found = ", ".join(f"{given!r} ({kind})" for kind, given in sorted(kinds.items()))
        raise SourceError(f"the inputs are of several kinds: {found}; expected one: run them one by one")
    kind = next(iter(kinds))
    if source.metadata is not None and kind != "files":
        raise SourceError(
            f"--metadata labels files, folders and globs, not {inputs[0]!r}, which is a {kind}; leave it out"
        )
    with _named_choices():
        listing = SOURCES[kind].list(inputs, source)
    return replace(listing, items=chosen(listing.items, source.splits))


def check_there(inputs: Sequence[str], source: SourceConfig) -> None:
    """Refuse local inputs and tables that do not exist, without listing or reading anything.

    Names, such as those of TFDS datasets, and other file systems are left to `list_inputs`. Raises `SourceError`.
    """
    for given in inputs:
        path = place(given)
        if path and local_path(path) is not None and (check := SOURCES[kind_of(given)].check):
            with _named_choices():
                check(path)
    if source.metadata and local_path(source.metadata) is not None:
        table_reader.check_there(source.metadata)


def kind_of(given: str) -> str:
    """Return the kind of an input, a key of `SOURCES`: by its prefix, else the first that takes it."""
    return next(
        (kind for kind, source in SOURCES.items() if source.prefix and given.startswith(source.prefix)), ""
    ) or next(kind for kind, source in SOURCES.items() if source.takes(given))


def place(given: str) -> str:
    """Return the path or URI in an input, "" where it is a name."""
    for source in SOURCES.values():
        if source.prefix and given.startswith(source.prefix):
            path = given.removeprefix(source.prefix)
            return path if source.check or tfds_source.is_dataset(path) else ""
    return given


def accepted() -> str:
    """Return what may be given as an input, for messages."""
    *others, last = (source.accepts for source in SOURCES.values())
    return f"{', '.join(others)} or {last}"


@contextmanager
def _named_choices() -> Iterator[None]:
    """Name all kinds of inputs in the error of one that does not exist."""
    try:
        yield
    except folders.MissingInputError as error:
        raise SourceError(f"input {error.given!r} does not exist; expected {accepted()}{error.hint}") from error


def class_list(source: SourceConfig) -> tuple[str, ...]:
    """Return the labels in the order that the configuration gives; () if it gives none.

    A text file has a label on each line; a table, in its column of labels (or names). Raises `SourceError` if the file
    cannot be read, or names none.
    """
    if source.classes is None:
        return ()
    if not isinstance(source.classes, str):
        return tidy(map(str, source.classes))
    path = source.classes
    if path.lower().endswith(tuple(table_reader.FORMATS)):
        table = table_reader.open_table(path)
        column = next((name for name in (source.label_column, *LABELS, *NAMES) if name in table.columns), None)
        if column is None:
            raise SourceError(f"{path!r} has no column of labels; expected one of {(*LABELS, *NAMES)}")
        labels = tidy(table_reader.cell_text(row.cells.get(column)) or "" for row in table.rows([column]))
    else:
        labels = tidy(table_reader.text_lines(path))
    if not labels:
        raise SourceError(f"source.classes: {path!r} names no class; expected one on each line")
    return labels


def _columns(source: SourceConfig) -> Columns:
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
    notes, skipped = TableNotes(), Skipped()
    items = folders.list_files(inputs, metadata=source.metadata, columns=_columns(source), notes=notes, skipped=skipped)
    return Listing(items, groups=tuple(sorted(source.group_columns)), notes=notes, skipped=skipped)


def _list(inputs: Sequence[str], source: SourceConfig) -> Listing:
    if source.group_columns:
        raise SourceError("group columns are those of a table: give a manifest as the input")
    notes, skipped = TableNotes(), Skipped()
    return Listing(manifests.list_lists(inputs, source.root, notes, skipped), notes=notes, skipped=skipped)


def _manifest(inputs: Sequence[str], source: SourceConfig) -> Listing:
    notes = TableNotes()
    items = manifests.list_manifests(inputs, _columns(source), source.root, notes)
    return Listing(items, groups=tuple(sorted(source.group_columns)), notes=notes)


def _tfds(inputs: Sequence[str], source: SourceConfig) -> Listing:
    if len(inputs) > 1:
        raise SourceError(f"{len(inputs)} TFDS datasets are given; expected one: run them one by one")
    return tfds_source.list_tfds(inputs[0], source)


def _name(given: str) -> str:
    return given.rstrip("/").rpartition("/")[2].lower()


SOURCES: dict[str, Source] = {
    "tfds": Source("tfds:NAME or its folder", _tfds, tfds_source.is_dataset, tfds_source.PREFIX),
    "tfrecord": Source(
        "TFRecord files",
        tfrecord_source.list_tfrecords,
        lambda given: ".tfrecord" in _name(given),
        tfrecord_source.PREFIX,
        folders.check_there,
    ),
    "manifest": Source(
        f"a table ({', '.join(table_reader.FORMATS)})",
        _manifest,
        lambda given: _name(given).endswith(tuple(table_reader.FORMATS)),
        check=table_reader.check_there,
    ),
    "list": Source("a list (.txt)", _list, lambda given: _name(given).endswith(".txt"), check=table_reader.check_there),
    "files": Source("a file, a folder or a glob", _files, lambda given: True, check=folders.check_there),
}
"""All kinds of inputs. "files" takes every input that is left."""
