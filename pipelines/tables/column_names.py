"""Column names: what data sets call the columns of files, labels, splits and times.

Takes the names in a table's header and those that a user gave; gives the columns that are meant. Nothing is read.

Conventions: names are compared without regard to case, and spaces, hyphens, brackets and underscores are one:
`Begin Time (s)` is `begin_time_s`. A name that the user gave goes first; "" stands for no column.

Sources: the columns of ESC-50, UrbanSound8K, FSD50K, DCASE's strong labels, AudioSet, BirdCLEF, Raven, NeMo, Kaggle.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipelines.messages import did_you_mean

# In order of precedence.
PATHS = (
    *("path", "filename", "file_name", "file", "fname", "audio", "audio_path", "slice_file_name", "filepath"),
    *("file_path", "audio_file", "audio_filename", "audio_filepath", "wav", "wav_path", "uri", "clip"),
    *("begin_path", "begin_file", "sound_file", "audio_name", "wav_file", "filenames", "itemid", "item_id"),
    *("recording_id", "clip_id", "id"),
)
LABELS = (
    *("label", "category", "class", "class_name", "classname", "labels", "tag", "tags", "event_label", "primary_label"),
    *("species", "ebird_code", "event_labels", "positive_labels", "class_label", "sound_class", "species_code"),
    *("common_name", "scientific_name", "species_id", "target", "sound"),
)
SPLITS = ("split", "subset", "partition")
OFFSETS = ("offset", "offset_seconds", "file_offset_s")
DURATIONS = ("duration", "duration_seconds", "delta_time_s")

PIECES = (
    *(("onset", "offset"), ("onset_seconds", "offset_seconds"), ("onset_s", "offset_s")),
    *(("start_time_seconds", "end_time_seconds"), ("start_seconds", "end_seconds"), ("start_time", "end_time")),
    *(("start_time_s", "end_time_s"), ("start_s", "end_s"), ("start_sec", "end_sec"), ("start", "end")),
    *(("begin_time_s", "end_time_s"), ("begin_time", "end_time"), ("begin", "end"), ("start", "stop")),
    *(("event_start", "event_end"), ("t_start", "t_end"), ("t_min", "t_max"), ("segment_start", "segment_end")),
)
"""Where an event begins and where it ends: beside `onset`, `offset` is no offset, but the end."""

NOTHING = ("", "index", "unnamed_0")
"""Columns of row numbers, as data frames write them."""

PLURALS = ("labels", "tags", "classes")
"""The last word of the name of a column that holds several labels."""


class ColumnError(ValueError):
    """A column that the user named does not exist, or two contradict each other; the message is the end of a line."""


@dataclass(frozen=True)
class Times:
    """Names of the columns of start, end and duration, in seconds; None where there is none."""

    start: str | None = None
    end: str | None = None
    duration: str | None = None


def folded(name: str) -> str:
    """Spell a column's name for comparison."""
    return re.sub(r"[\W_]+", "_", name.casefold()).strip("_")


def holds_several(name: str) -> bool:
    """Return by a column's name whether a cell holds several labels."""
    return folded(name).rpartition("_")[2] in PLURALS


def there(names: Sequence[str]) -> str:
    """List a table's columns for a message."""
    quoted = ", ".join(map(repr, names[:50])) + (", ..." if len(names) > 50 else "")
    return f"its columns are {quoted}" if names else "it is empty"


def find(names: Sequence[str], given: str | None, known: Iterable[str]) -> str | None:
    """Find a column by the name that the user gave ("": none), or without one (None) by the known, folded names.

    Raises `ColumnError` if there is no column of the name that was given.
    """
    by_fold = _by_fold(names)
    if given is None:
        return next((by_fold[name] for name in known if name in by_fold), None)
    if not given or given in names:
        return given or None
    if folded(given) in by_fold:
        return by_fold[folded(given)]
    hint = did_you_mean(folded(given), by_fold, shown=by_fold)
    raise ColumnError(f"has no column {given!r}: {there(names)}{hint}")


def find_times(names: Sequence[str], given: Times, path: str) -> Times:
    """Find the columns of the times of a piece, by the names that the user gave as in `find`.

    If `path`, the column that names the file, names slices that are files of their own, as UrbanSound8K's does, times
    are those of the recording that the slice was cut from, and are not guessed. Raises `ColumnError` if a column does
    not exist, there is an end without a start, or an end beside a duration.
    """
    if given.end and given.duration:
        raise ColumnError("has a column of ends and one of durations; give --end-column or --duration-column")
    start = find(names, given.start, ())
    end, duration = find(names, given.end, ()), find(names, given.duration, ())
    lonely = f"has a column of ends, {end!r}, and none of starts; name it with --start-column"
    if folded(path).startswith("slice") or given.start == "":
        if end is not None and start is None:
            raise ColumnError(lonely)
        return Times(start, end, duration)
    by_fold = _by_fold(names)
    for first, last in PIECES:
        fits = first in by_fold and last in by_fold and start in (None, by_fold[first])
        if fits and end in (None, by_fold[last]) and given.end != "" and duration is None:
            return Times(by_fold[first], by_fold[last])
    if end is not None:
        start = start or find(names, None, (first for first, _ in PIECES))
        if start is None:
            raise ColumnError(lonely)
        return Times(start, end)
    duration = duration or find(names, given.duration, DURATIONS)
    starts = OFFSETS if duration is None else (*OFFSETS, *(first for first, _ in PIECES))
    return Times(start or find(names, None, starts), None, duration)


def _by_fold(names: Sequence[str]) -> Mapping[str, str]:
    return {folded(name): name for name in reversed(names)}
