"""The listing of a run as a file: one JSON line for each item, read by workers in blocks."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from typing import Any

from apache_beam.io.filesystems import FileSystems

from pipelines.clips.listing import Item
from pipelines.clips.references import Failure, SoundFileRef, tidy
from pipelines.clips.shard_clips import ShardRef
from pipelines.clips.tf_examples import Fields, Layout

SINGLE_ITEMS, BLOCK_ITEMS = 1000, 64
"""How many of a listing's items are spread over the workers one by one, and how many together after that."""

Block = tuple[str, int, int]
"""Lines of a listing: its path, the offset of the first one in bytes, and how many. A million files are few blocks."""

_KINDS: dict[str, Any] = {"files": SoundFileRef, "shards": ShardRef, "failures": Failure}


def write_listing(path: str, items: Iterable[Item]) -> dict[str, int]:
    """Write a listing; return how many files (or shards) and failures it has.

    Labels are put on one line, as TFDS keeps them.
    """
    counts = {"files": 0, "failures": 0}
    kinds = {kind: name for name, kind in _KINDS.items()}
    with FileSystems.create(path, compression_type="uncompressed") as out:
        for item in items:
            if isinstance(item, SoundFileRef):
                item = dataclasses.replace(item, labels=tidy(item.labels))
            counts["failures" if isinstance(item, Failure) else "files"] += 1
            out.write((json.dumps({kinds[type(item)]: dataclasses.asdict(item)}) + "\n").encode())
    return counts


def listing_blocks(path: str) -> Iterator[Block]:
    """Give the blocks of a listing: the first items one by one, as they may be long shards, then many at once."""
    start, lines, offset = 0, 0, 0
    with FileSystems.open(path) as file:
        for number, line in enumerate(file):
            lines += 1
            offset += len(line)
            if number < SINGLE_ITEMS or lines == BLOCK_ITEMS:
                yield path, start, lines
                start, lines = offset, 0
    if lines:
        yield path, start, lines


def read_block(block: Block) -> Iterator[Item]:
    """Give the items of a block, as they were given to `write_listing`."""
    path, start, lines = block
    with FileSystems.open(path) as file:
        file.seek(start)
        for _ in range(lines):
            ((name, values),) = json.loads(file.readline()).items()
            values = _tuples(values)
            if name == "shards":
                values |= {"layout": Layout(**values["layout"]), "fields": Fields(**values["fields"])}
            yield _KINDS[name](**values)


def _tuples(value: Any) -> Any:
    """Turn JSON's lists back into tuples."""
    if isinstance(value, list):
        return tuple(map(_tuples, value))
    return {key: _tuples(each) for key, each in value.items()} if isinstance(value, dict) else value
