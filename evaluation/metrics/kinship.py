"""Kinship: where two classes stand to each other in AudioSet's ontology, and under which of its great branches.

A dream toward "Dog" that is heard as "Bark" or as "Domestic animals, pets" is no hit, but no plain miss either.

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


def outcome(heard: str, targets: Sequence[str], ontology: Ontology) -> str | None:
    """Return what a class is to a target: the nearest kinship to any of the target's classes.

    Args:
        heard: MID of the class that is heard.
        targets: MIDs of the target's classes.
        ontology: AudioSet's.

    Returns:
        One of `OUTCOMES`; None where a class is not in the ontology.
    """
    if heard in targets:
        return "hit"
    if heard not in ontology.names or any(mid not in ontology.names for mid in targets):
        return None
    for name, kin in (("child", _is_above), ("sibling", _is_sibling), ("parent", _is_below)):
        if any(kin(ontology, target, heard) for target in targets):
            return name
    return "miss"


def category(mid: str, ontology: Ontology, level: int = 0) -> str | None:
    """Return the name of the class above a class at a level of the ontology: 0 for its seven roots, 1 for the next.

    Of several ways from a root down to a class, the first counts. A class above the level stands for itself.
    """
    ways = ontology.paths(mid)
    if not ways:
        return None
    way = ways[0].split(" > ")
    return way[min(level, len(way) - 1)]


def _is_above(ontology: Ontology, upper: str, lower: str) -> bool:
    return lower in ontology.under(upper)


def _is_below(ontology: Ontology, lower: str, upper: str) -> bool:
    return lower in ontology.under(upper)


def _is_sibling(ontology: Ontology, one: str, other: str) -> bool:
    return not set(ontology.parents[one]).isdisjoint(ontology.parents[other])
