"""Listings: what a source of any kind gives, before anything is decoded.

A source is a function from what the user names and `SourceConfig` to a `Listing`. Its items are references, few for
each file or shard: they are written down as they come, never held together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pipelines.clips import Failure, SoundFileRef
from pipelines.locations import as_text, as_uri
from pipelines.shard_clips import ShardRef

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

Item = SoundFileRef | ShardRef | Failure


class SourceError(ValueError):
    """The inputs can not be used, so the whole run can not start; the message is one line."""


@dataclass
class Told:
    """What a user should know of the tables that are read; complete once all items of the listing were taken.

    Attributes:
        notes: lines that say what was guessed, and what is not used.
        tables: how many tables were read.
        labels: the classes of the rows or files that can be used.
    """

    notes: list[str] = field(default_factory=list)
    tables: int = 0
    labels: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Listing:
    """What a source holds.

    Attributes:
        items: files, pieces of files, and shards, each once; or why one of them can not be used.
        classes: the labels in the order that the source gives them; () where it gives none.
        groups: names of the groups that its clips carry, sorted.
        told: what is to be said of its tables.
    """

    items: Iterator[Item]
    classes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    told: Told = field(default_factory=Told)


def chosen(items: Iterable[Item], splits: tuple[str, ...]) -> Iterator[Item]:
    """Leave out the files that are known to be of other splits than those chosen; () chooses all."""
    return (item for item in items if not splits or not isinstance(item, SoundFileRef) or item.split in splits)


def folder_labels(id_: str) -> tuple[str, ...]:
    """Return the label of a file without a better one: the name of the folder that holds it, below the root."""
    return tuple(id_.split("/")[-2:-1])


def file_item(location: str, id_: str) -> SoundFileRef | Failure:
    """Return the reference of a file, labelled by its folder; or its failure, if its name says that it is not read.

    Args:
        location: of the file, as `pipelines.locations.locate` spells it.
        id_: its path below the root.
    """
    identity = as_text(id_)
    if location.lower().endswith(UNREADABLE_EXTENSIONS):
        error = f"{identity!r} has a format that is not read; convert it (ffmpeg -i OLD NEW.flac)"
        return Failure(uri=as_uri(location), id=identity, stage="list", error=error)
    return SoundFileRef(identity, as_uri(location), folder_labels(identity))
