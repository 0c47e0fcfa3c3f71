"""Kinship: how two classes are related in AudioSet's ontology, and the branch of a class.

A dream toward "Dog" that is classified as "Bark" or "Domestic animals, pets" is no hit, but no plain miss either.

    hit      one of the target's own classes
    parent   a class above the target, however far
    child    a class below it, however far
    sibling  another class with a parent in common
    miss     everything else
"""

from __future__ import annotations

from collections.abc import Sequence

from augment.targets.ontology import Ontology

OUTCOMES = ("hit", "child", "sibling", "parent", "miss")


def outcome(predicted: str, targets: Sequence[str], ontology: Ontology) -> str | None:
    """Return the nearest of `OUTCOMES` of a predicted class to the target's classes (MIDs); None if one is unknown."""
    if predicted in targets:
        return "hit"
    if predicted not in ontology.names or any(mid not in ontology.names for mid in targets):
        return None
    if any(predicted in ontology.under(target) for target in targets):
        return "child"
    if any(not set(ontology.parents[predicted]).isdisjoint(ontology.parents[target]) for target in targets):
        return "sibling"
    return "parent" if any(target in ontology.under(predicted) for target in targets) else "miss"


def category(mid: str, ontology: Ontology, level: int = 0) -> str | None:
    """Return the name of the class above a class at a level of the ontology: 0 for its seven roots, 1 for the next.

    The first of several paths from a root counts. A class above the level stands for itself.
    """
    ways = ontology.paths(mid)
    if not ways:
        return None
    way = ways[0].split(" > ")
    return way[min(level, len(way) - 1)]
