"""``dreambeam targets``: the classes that a sound can be dreamed toward, and where they stand."""

from __future__ import annotations

import os
import sys

from augment.targets.classes import AudioClass, yamnet_classes
from augment.targets.ontology import Ontology, OntologyError, audioset_ontology


def run(words: str, limit: int, ontology: str | None) -> int:
    """Print the classes, best first, with the ways that lead to them."""
    if ontology:
        os.environ["DREAMBEAM_ONTOLOGY"] = ontology
    classes = yamnet_classes()
    found: list[AudioClass]
    if words.strip().endswith("/*"):
        found = [classes[index] for index in audioset_ontology().branch(words.strip()[:-2].strip(), classes)][:limit]
    else:
        found = classes.search(words, limit)
    if not found:
        print(f"dreambeam: no class is like {words!r}", file=sys.stderr)
        return 2
    known = _ontology()
    for each in found:
        print(f"{each.index:3}  {each.mid:13} {each.name}")
        for path in known.paths(each.mid) if known else ():
            print(f"     {path}")
    return 0


def _ontology() -> Ontology | None:
    try:
        return audioset_ontology()
    except OntologyError as error:
        print(f"dreambeam: without their place in the ontology: {error}", file=sys.stderr)
        return None
