"""Maps a dream's target and a dataset's labels to the classes of a judge.

Targets are YAMNet's classes. A judge with other classes knows those with the same MID or name, and those in the user's
CSV, with the columns name (a YAMNet class, its MID, or a label of the dataset) and class (the judge's). Figures leave
out what is unknown, and the report says so.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from augment.targets.classes import ClassList, ClassLookupError, yamnet_classes
from augment.targets.policies import Aim
from evaluation.judges.judge import JudgeError


@dataclass(frozen=True)
class ClassMap:
    """A judge's classes by the dreaming model's classes and by label."""

    targets: Mapping[int, int]
    labels: Mapping[str, int]
    dreamed: ClassList = field(default_factory=yamnet_classes)

    def aim(self, classes: Iterable[int], away: bool) -> Aim | None:
        """Return a target in the judge's classes, None unless the judge knows all of it."""
        found = [self.targets.get(index) for index in classes]
        known = tuple(dict.fromkeys(index for index in found if index is not None))
        return Aim(known, away) if known and None not in found else None

    def known_labels(self, labels: Iterable[str]) -> tuple[int, ...]:
        """Return the judge's classes for labels, without unknown ones, each once."""
        return tuple(dict.fromkeys(self.labels[label] for label in labels if label in self.labels))


def read_mapping(path: str | None) -> dict[str, str]:
    """Read the user's CSV: name to class.

    Raises:
        JudgeError: it cannot be read, or lacks a column.
    """
    if path is None:
        return {}
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not {"name", "class"} <= set(reader.fieldnames or ()):
                found = ",".join(reader.fieldnames or ()) or "nothing"
                raise JudgeError(f"class map {path!r}: the header is {found}; expected name,class")
            return {row["name"].strip(): row["class"].strip() for row in reader if row["name"] and row["class"]}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise JudgeError(f"class map {path!r} cannot be read: {' '.join(str(error).split())}") from error


def map_classes(
    classes: ClassList,
    labels: Iterable[str],
    given: Mapping[str, str],
    label_classes: Mapping[str, str],
    dreamed: ClassList | None = None,
) -> ClassMap:
    """Find a judge's classes for the targets and labels of a dataset.

    `given` is the user's mapping from YAMNet's names, MIDs or labels to the judge's classes; `label_classes` are the
    dreaming model's by label, where the dataset's run knew them; `dreamed` are all of the latter, None for YAMNet's.

    Raises:
        JudgeError: the user maps to a class that the judge does not have.
    """
    chosen = {name: _chosen(name, wanted, classes) for name, wanted in given.items()}
    by_mid = {item.mid: item.index for item in classes if item.mid}
    by_name = {item.name: item.index for item in classes}
    targets: dict[int, int] = {}
    dreamed = dreamed or yamnet_classes()
    for item in dreamed:
        found = chosen.get(item.name, chosen.get(item.mid or item.name, by_mid.get(item.mid, by_name.get(item.name))))
        if found is not None:
            targets[item.index] = found

    def label_class(label: str) -> int | None:
        """Return the judge's class for a label: as the user maps it, or the run, or else by its name."""
        if label in chosen:
            return chosen[label]
        if label in by_name:
            return by_name[label]
        words = label.replace("_", " ")
        if words.strip().isdigit():  # a number is a name, not one of the judge's indices
            return None
        try:
            if label in label_classes:
                return targets.get(dreamed.find(label_classes[label]).index)
            return classes.find(words).index
        except ClassLookupError:
            return None

    found_labels = {label: label_class(label) for label in labels}
    return ClassMap(targets, {label: index for label, index in found_labels.items() if index is not None}, dreamed)


def _chosen(name: str, wanted: str, classes: ClassList) -> int:
    try:
        return classes.find(wanted).index
    except ClassLookupError as error:
        raise JudgeError(f"class map, {name!r}: {error}") from error
