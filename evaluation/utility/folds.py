"""Folds: which clips a classifier is trained on, and which it is tested on.

The dataset defines the folds: clips of one recording lie in one fold. Each fold is tested once, with a classifier that
was trained on all others. For training with little data, a few clips of each class are drawn from these. No training
example is made from a test clip.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from augment.determinism import draws


class FoldError(ValueError):
    """The clips do not form folds; the message is one line that says what is expected."""


@dataclass(frozen=True)
class Clip:
    """One labelled clip, unread, in a fold. Intervals are drawn over the groups, such as recordings.

    The content is a hash of the samples, and the reader needs `where`.
    """

    id: str
    label: str
    fold: str
    group: str
    content: str = ""
    where: Mapping[str, Any] = field(hash=False, compare=False, default_factory=dict)


@dataclass(frozen=True)
class Split:
    """One test fold: its name, and the positions of training and test clips, in the clips' order."""

    fold: str
    train: tuple[int, ...]
    test: tuple[int, ...]


def check_clips(clips: Sequence[Clip]) -> None:
    """Refuse clips that cannot train and test a classifier.

    Raises:
        FoldError: there is one fold or one class, a class lies in one fold only, or a group lies in two.
    """
    folds, labels = sorted({clip.fold for clip in clips}), sorted({clip.label for clip in clips})
    if len(folds) < 2:
        raise FoldError(
            f"the clips are all in {'fold ' + repr(folds[0]) if folds else 'no fold'}; expected two folds or more: "
            "name their column with --fold-column"
        )
    if len(labels) < 2:
        raise FoldError(f"the clips are all {labels[0]!r}; expected two classes or more: see --label-column")
    homes: dict[str, str] = {}
    for clip in clips:
        if homes.setdefault(clip.group, clip.fold) != clip.fold:
            raise FoldError(
                f"group {clip.group!r} lies in folds {homes[clip.group]!r} and {clip.fold!r}: a classifier would be "
                "tested on its training data; correct the fold column, or name another --group-column"
            )
    counts = Counter((clip.fold, clip.label) for clip in clips)
    for fold in folds:
        for label in labels:
            if not sum(counts[other, label] for other in folds if other != fold):
                raise FoldError(f"class {label!r} lies in fold {fold!r} only: nothing is left to learn it from")


def splits(clips: Sequence[Clip]) -> list[Split]:
    """Return each fold as a test fold, in the folds' order."""
    found = []
    for fold in sorted({clip.fold for clip in clips}):
        inside = tuple(place for place, clip in enumerate(clips) if clip.fold == fold)
        outside = tuple(place for place, clip in enumerate(clips) if clip.fold != fold)
        found.append(Split(fold, outside, inside))
    return found


def draw_shots(clips: Sequence[Clip], train: Sequence[int], shots: int | None, seed: int) -> tuple[int, ...]:
    """Draw `shots` clips of each class from the positions `train`, of different groups as long as there are any.

    A smaller class gives all of its clips; None draws all. Positions keep the clips' order.
    """
    if shots is None:
        return tuple(train)
    by_label: dict[str, list[int]] = {}
    for place in sorted(train, key=lambda place: (draws.draw(seed, clips[place].id, 0, "shots"), clips[place].id)):
        by_label.setdefault(clips[place].label, []).append(place)
    drawn = [place for places in by_label.values() for place in list(_groups_first(clips, places))[:shots]]
    return tuple(sorted(drawn))


def _groups_first(clips: Sequence[Clip], places: Sequence[int]) -> Iterator[int]:
    """Give the first clip of each group, then the second of each, and so on."""
    seen: Counter[str] = Counter()
    rounds = []
    for place in places:
        rounds.append((seen[clips[place].group], place))
        seen[clips[place].group] += 1
    for _, place in sorted(rounds, key=lambda each: each[0]):  # stable
        yield place
