"""The clips of ``dreambeam utility``: from files and a table to clips with folds, groups and classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from augment.targets.classes import yamnet_classes
from evaluation.judges.class_map import map_classes
from evaluation.utility.folds import Clip
from pipelines.cli.ending import complain
from pipelines.cli.runs.study_clips import SEGMENT_SECONDS
from pipelines.clips.clips import decode, segments
from pipelines.clips.listing import TableNotes
from pipelines.clips.references import Failure, SoundFileRef
from pipelines.config.run_config import ConfigError
from pipelines.files.containers import ClipError
from pipelines.sources.folders import list_files
from pipelines.tables.columns import Columns

_SHOWN = 5  # of the files that are left out


@dataclass(frozen=True)
class Data:
    """A table of the clips: its columns of paths and labels, folds, groups and YAMNet's classes.

    Without a column of groups each file is a group; without one of classes a label names its class.
    """

    metadata: str
    columns: Columns
    fold: str
    group: str | None = None
    class_: str | None = None


def read_clips(inputs: Sequence[str], data: Data, notes: TableNotes) -> tuple[list[Clip], dict[str, str], int]:
    """List the clips, sorted by id, and note what is notable of the table.

    Returns:
        The clips, YAMNet's class by label if there is a column of them, and how many files were left out.

    Raises:
        ConfigError: no file can be used.
        SourceError: nothing can be read there, or the table lacks a column.
    """
    wanted = dict.fromkeys(name for name in (data.fold, data.group, data.class_) if name is not None)
    columns = replace(data.columns, groups=tuple(wanted))
    clips: list[Clip] = []
    classes: dict[str, str] = {}
    lost: list[str] = []
    for file in list_files(inputs, metadata=data.metadata, columns=columns, notes=notes):
        if isinstance(file, Failure):
            lost.append(file.error)
            continue
        groups = dict(file.groups)
        if not file.labels or not groups.get(data.fold):
            lost.append(f"{file.id!r} has no {'fold' if file.labels else 'label'}")
            continue
        try:
            clips += _cut(file, groups[data.fold], groups.get(data.group or "") or file.id)
        except ClipError as error:
            lost.append(str(error))
            continue
        if data.class_ is not None:
            classes.setdefault(file.labels[0], groups[data.class_])
    for error in [*lost[:_SHOWN], *([f"{len(lost) - _SHOWN} more"] if len(lost) > _SHOWN else [])]:
        complain(f"left out: {error}")
    if not clips:
        raise ConfigError(f"{', '.join(inputs)}: none of the {len(lost)} files can be used")
    return sorted(clips, key=lambda clip: clip.id), classes, len(lost)


def _cut(file: SoundFileRef, fold: str, group: str) -> list[Clip]:
    found = []
    for ref in segments(file, segment_seconds=SEGMENT_SECONDS):
        content = f"{decode(ref).sha256}:{ref.start}-{ref.stop}"
        found.append(Clip(ref.id, file.labels[0], fold, group, content, asdict(ref)))
    return found


def label_classes(labels: Sequence[str], given: Mapping[str, str]) -> dict[str, int]:
    """Return YAMNet's class of each label: the given one, or the one of the label's name; labels without one lack."""
    return dict(map_classes(yamnet_classes(), labels, given, {}).labels)
