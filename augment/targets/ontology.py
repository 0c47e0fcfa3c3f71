"""AudioSet's ontology: which classes are kinds of which others.

Google publishes it under CC BY-SA 4.0, so it does not ship with dreambeam. It is read from ``$DREAMBEAM_ONTOLOGY``, or
from the cache folder, or else fetched into that folder, once, and checked by its sha256.

Source: Gemmeke et al., "Audio Set: An ontology and human-labeled dataset for audio events", ICASSP 2017;
https://github.com/audioset/ontology.
"""

from __future__ import annotations

import hashlib
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from augment.cache import cache_directory
from augment.targets.classes import AudioClass, ClassList

ONTOLOGY_URL = "https://raw.githubusercontent.com/audioset/ontology/master/ontology.json"
ONTOLOGY_SHA256 = "9c685f4403eecc3ca9be37fd7285cf212feaaea6ff7229d3e7ca89e0d1f2d15d"

_TIMEOUT_SECONDS = 10.0
_MAX_BYTES = 10 << 20


class OntologyError(ValueError):
    """The ontology cannot be read or downloaded, or is damaged; the message says what to do."""


@dataclass(frozen=True)
class Ontology:
    """The classes as a graph: a class may have several parents.

    Attributes:
        names: by id ("/m/0bt9lr").
        children: ids by id, in the ontology's order.
    """

    names: Mapping[str, str]
    children: Mapping[str, tuple[str, ...]]

    @classmethod
    def from_json(cls, path: str | Path) -> Ontology:
        """Read ``ontology.json``.

        Raises:
            OntologyError: the file cannot be read, or holds something else.
        """
        try:
            nodes = json.loads(Path(path).read_text(encoding="utf-8"))
            names = {node["id"]: node["name"] for node in nodes}
            children = {node["id"]: tuple(node["child_ids"]) for node in nodes}
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise OntologyError(f"{str(path)!r} is not AudioSet's ontology.json: {type(error).__name__}") from error
        if not names or any(child not in names for found in children.values() for child in found):
            raise OntologyError(f"{str(path)!r} is not AudioSet's ontology.json: it names children that it lacks")
        return cls(names, children)

    @cached_property
    def parents(self) -> dict[str, tuple[str, ...]]:
        """Return the parents' ids by id; a root has none."""
        found: dict[str, list[str]] = {node: [] for node in self.names}
        for parent, children in self.children.items():
            for child in children:
                found[child].append(parent)
        return {node: tuple(parents) for node, parents in found.items()}

    @cached_property
    def nodes(self) -> ClassList:
        """Return all nodes as a list in which names can be looked up."""
        return ClassList(tuple(AudioClass(index, mid, name) for index, (mid, name) in enumerate(self.names.items())))

    def paths(self, mid: str) -> list[str]:
        """Return the ways from a root down to the class, such as "Animal > Domestic animals, pets > Dog"."""
        if mid not in self.names:
            return []
        return [" > ".join(self.names[node] for node in way) for way in self._ways(mid)]

    def under(self, mid: str) -> list[str]:
        """Return the class and all below it, each once, from the top."""
        found = dict.fromkeys([mid])
        for node in self.children[mid]:
            found.update(dict.fromkeys(self.under(node)))
        return list(found)

    def branch(self, query: str, classes: ClassList) -> list[int]:
        """Return the indices of a model's classes in the branch of the class that the query names, itself first.

        Args:
            query: as for `ClassList.find`; nodes that no model scores, such as "Human sounds", count too.
            classes: of the model.

        Raises:
            ClassLookupError: the query names no class of the ontology, or several.
            OntologyError: the branch holds none of the model's classes.
        """
        own = {item.mid: item.index for item in classes}
        try:
            root = classes.find(query).mid
        except ValueError:
            root = self.nodes.find(query).mid
        found = [own[mid] for mid in self.under(root) if mid in own] if root in self.names else []
        if not found:
            raise OntologyError(f"no class that can be a target is under {query!r}")
        return found

    def _ways(self, mid: str) -> Iterator[list[str]]:
        for parent in self.parents[mid]:
            yield from ([*way, mid] for way in self._ways(parent))
        if not self.parents[mid]:
            yield [mid]


@cache
def audioset_ontology() -> Ontology:
    """Return AudioSet's ontology.

    Raises:
        OntologyError: it cannot be read; the message says how to supply it.
    """
    given = os.environ.get("DREAMBEAM_ONTOLOGY")
    if given:
        return Ontology.from_json(given)
    cached = cache_directory() / "ontology.json"
    if not cached.exists():
        _fetch(cached)
    return Ontology.from_json(cached)


def _fetch(target: Path) -> None:
    try:
        with urllib.request.urlopen(ONTOLOGY_URL, timeout=_TIMEOUT_SECONDS) as reply:
            content = reply.read(_MAX_BYTES)
    except (OSError, urllib.error.URLError) as error:
        raise OntologyError(
            f"AudioSet's ontology could not be fetched ({' '.join(str(error).split())}): get ontology.json from "
            f"https://github.com/audioset/ontology and put it at {target}, or name it in DREAMBEAM_ONTOLOGY"
        ) from error
    if hashlib.sha256(content).hexdigest() != ONTOLOGY_SHA256:
        raise OntologyError(f"{ONTOLOGY_URL} is not the ontology that dreambeam knows; name one in DREAMBEAM_ONTOLOGY")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}.partial")
    partial.write_bytes(content)
    os.replace(partial, target)
