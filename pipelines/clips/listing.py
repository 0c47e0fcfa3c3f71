"""Listings: what a source of any kind gives, before anything is decoded.

A source is a function from inputs and `SourceConfig` to a `Listing`. Its items are references, one or a few for each
file or shard; they are written to a file as they come, never held together.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pipelines.clips.references import Failure, SoundFileRef
from pipelines.clips.shard_clips import ShardRef
from pipelines.files.locations import as_text, as_uri

_READ = """
.wav .wave .bwf .rf64 .w64 .flac .ogg .oga .opus .mp3 .mp2 .mp1 .mpga .aif .aiff .aifc .au .snd .caf .sph .nist .voc .sf
.ircam .pvf .paf .iff .8svx .svx .avr .sd2 .sds .xi .wve .htk .gsm .vox
"""
_NOT_READ = """
.m4a .m4b .mp4 .m4v .mov .3gp .3g2 .aac .adts .wma .wmv .asf .amr .awb .ape .wv .webm .weba .mka .mkv .tta .tak .mpc
.spx .ac3 .eac3 .dts .ra .rm .dsf .dff .shn .qoa .avi .flv .ogv .ogx .raw .pcm
"""

SOUND_ENDINGS = tuple(_READ.split())
"""Of files that libsndfile reads, as a rule: what a file is, its content decides."""
OTHER_SOUND_ENDINGS = tuple(_NOT_READ.split())
"""Of files that hold sound, as a rule, but not for libsndfile: each is opened, and is a failure if it is not read."""

MOST = 50
"""Endings, and folders, of skipped files that run.json names at most."""

Item = SoundFileRef | ShardRef | Failure


class SourceError(ValueError):
    """The inputs cannot be used, so the run cannot start; the message is one line."""


@dataclass
class TableNotes:
    """Notes on the tables that are read; complete once all items of the listing were taken."""

    lines: list[str] = field(default_factory=list)  # what was guessed, and what is not used
    tables: int = 0  # how many tables were read
    labels: set[str] = field(default_factory=set)  # the classes of the rows or files that can be used


@dataclass
class Skipped:
    """Files that were skipped below the inputs; complete once all items of the listing were taken."""

    # how many files there are of each ending, in lower case; "hidden" counts files and folders
    endings: Counter[str] = field(default_factory=Counter)
    # the topmost ones that hold no sound, as their paths below the root
    folders: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """Count a file by its name."""
        ending = os.path.splitext(name)[1].lower()
        self.endings["hidden" if name.startswith(".") else as_text(ending) or "no ending"] += 1

    def summary(self) -> dict[str, Any]:
        """Return what run.json stores: the most frequent endings, and the first folders."""
        frequent = sorted(self.endings.items(), key=lambda each: (-each[1], each[0]))
        rest = sum(count for _, count in frequent[MOST:])
        return {
            "files": self.endings.total(),
            "endings": dict(frequent[:MOST]) | ({"other": rest} if rest else {}),
            "folders": sorted(self.folders)[:MOST],
            "folders_in_all": len(self.folders),
        }


@dataclass(frozen=True)
class Listing:
    """The content of a source."""

    items: Iterator[Item]  # files, pieces of files, and shards, each once; or why one of them cannot be used
    classes: tuple[str, ...] = ()  # the labels in the order that the source gives them; () where it gives none
    groups: tuple[str, ...] = ()  # names of the groups that its clips carry, sorted
    notes: TableNotes = field(default_factory=TableNotes)  # on its tables
    skipped: Skipped = field(default_factory=Skipped)  # files below its folders that are no sounds


def chosen(items: Iterable[Item], splits: tuple[str, ...]) -> Iterator[Item]:
    """Leave out the files that are known to be of other splits than those chosen; () chooses all."""
    return (item for item in items if not splits or not isinstance(item, SoundFileRef) or item.split in splits)


def folder_labels(id_: str) -> tuple[str, ...]:
    """Return the default label of a file: the name of the folder that holds it, below the root."""
    return tuple(id_.split("/")[-2:-1])


def file_item(location: str, id_: str) -> SoundFileRef:
    """Return the reference of a file at a location (`locations.locate`), with its path below the root as the id."""
    return SoundFileRef(as_text(id_), as_uri(location), folder_labels(as_text(id_)))
