"""Targets by name: from what a user writes to a policy and the indices of classes."""

from __future__ import annotations

from collections.abc import Sequence

from augment.targets import policies
from augment.targets.classes import ClassList
from augment.targets.ontology import audioset_ontology


def read_target(target: str | int, classes: ClassList) -> tuple[str, list[int]]:
    """Read a target as a user gives it.

    Args:
        target: a class by name, MID or index; a branch of the ontology as one target ("Dog/*"); the name of a policy,
            alone or with a class or branch to choose from ("random", "random:Animal/*", "away:Speech").
        classes: of the model.

    Returns:
        The policy's name and the indices of its classes.

    Raises:
        ClassLookupError: neither a policy nor a class.
        OntologyError: it names a branch, and the ontology cannot be read.
    """
    policy, names = policies.split_target(target)
    return policy, find_classes(names, classes)


def find_classes(names: Sequence[str | int], classes: ClassList) -> list[int]:
    """Return the indices of classes by name, MID or index, or of all classes of a branch ("Dog/*"), each once.

    Raises:
        ClassLookupError: a name means no class, or several; the message gives the nearest.
        OntologyError: a branch is named, and the ontology cannot be read.
    """
    found: dict[int, None] = {}
    for name in names:
        if isinstance(name, str) and name.strip().endswith("/*"):
            found.update(dict.fromkeys(audioset_ontology().branch(name.strip()[:-2].strip(), classes)))
        else:
            found[classes.find(name).index] = None
    return list(found)
