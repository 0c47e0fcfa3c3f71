"""Shards: from the reference of a TFRecord file to the clips in it.

Reads the file of a `ShardRef` record by record, and gives a `ClipRef` for each clip of each record, with the offset of
the record, so that `pipelines.clips.clips.decode` reads it without the others. One record is in memory at a time. A
record that cannot be used is a `Failure`.

Conventions: a clip's id is the record's own, where the user has named the feature that holds it, else the shard's
prefix and the record's number, padded by zeros. Numbers count from `first`, on through the shards of a split.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pipelines.clips import tf_examples
from pipelines.clips.clips import check_segment_seconds, cut
from pipelines.clips.references import ClipRef, Failure, tidy
from pipelines.clips.splits import DEFAULT_SPLIT, split_fault
from pipelines.clips.tf_examples import Fields, Layout, Values
from pipelines.files.containers import ClipError
from pipelines.files.raw_records import read_records


@dataclass(frozen=True)
class ShardRef:
    """One TFRecord file of tf.train.Example, unopened."""

    id: str  # path below the root of the inputs
    uri: str  # absolute path, or a URI that Beam's FileSystems can open
    split: str = DEFAULT_SPLIT  # of its records, where they do not say it themselves
    prefix: str = ""  # of its records' ids, without the slash
    first: int = 0  # number of its first record
    digits: int = 8  # of a record's number in its id
    layout: Layout = field(default_factory=Layout)  # how its records hold their sound
    fields: Fields = field(default_factory=Fields)  # how its records hold the rest


def clips(shard: ShardRef, *, segment_seconds: float | None) -> Iterator[ClipRef | Failure]:
    """Give the clips of each record of a shard, in order, or its failure; `segment_seconds` as in `clips.segments`."""
    check_segment_seconds(segment_seconds)
    try:
        for number, record in enumerate(read_records(shard.uri), shard.first):
            id_ = f"{shard.prefix}/{number:0{shard.digits}d}"
            if isinstance(record, ClipError):
                yield Failure(shard.uri, id_, record.stage, str(record))
                continue
            try:
                yield from _record_clips(shard, *record, id_, segment_seconds)
            except ClipError as error:
                yield Failure(shard.uri, id_, error.stage, str(error))
    except ClipError as error:
        yield Failure(shard.uri, shard.id, error.stage, str(error))


def _record_clips(
    shard: ShardRef, offset: int, record: bytes, id_: str, segment_seconds: float | None
) -> list[ClipRef]:
    name = f"{id_!r} in {shard.uri!r}"
    values = tf_examples.parse(record, name)
    for feature in shard.fields.required:
        if feature not in values:
            there = ", ".join(map(repr, sorted(values)[:20])) or "none"
            raise ClipError(f"{name} has no feature {feature!r}: it has {there}; name one of those", "label")
    shape = tf_examples.measure(values, shard.layout, name)
    whole = ClipRef(
        id=_one(values, shard.fields.id) or id_,
        uri=shard.uri,
        labels=_labels(values, shard.fields),
        split=_split(values, shard, name),
        start=0,
        stop=shape.frames,
        sample_rate=shape.sample_rate,
        channels=shape.channels,
        format=shape.format,
        groups=_groups(values, shard.fields),
        record_offset=offset,
        layout=shard.layout,
        note=shape.note,
    )
    return cut(whole, frames=shape.frames, segment_seconds=segment_seconds)


def _one(values: Values, feature: str, classes: tuple[str, ...] = ()) -> str:
    """Return the first value of a feature as one line of text, "" if there is none."""
    found = tidy(tf_examples.texts(values, feature, classes)[:1]) if feature else ()
    return found[0] if found else ""


def _labels(values: Values, fields: Fields) -> tuple[str, ...]:
    feature = next((name for name in fields.labels if name in values), "")
    found = tf_examples.texts(values, feature, fields.classes)
    if fields.separator and len(found) == 1:
        found = found[0].split(fields.separator)
    return tidy(found)


def _split(values: Values, shard: ShardRef, name: str) -> str:
    split = _one(values, shard.fields.split) or shard.split
    if fault := split_fault(split):
        raise ClipError(f"{name} has split {fault}", "label")
    return split


def _groups(values: Values, fields: Fields) -> tuple[tuple[str, str], ...]:
    classes = dict(fields.group_classes)
    return tuple(sorted((name, _one(values, feature, classes.get(name, ()))) for name, feature in fields.groups))
