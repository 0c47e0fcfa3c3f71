"""The classes a model scores, and how a user's words find one.

A `ClassList` is an ordered, immutable list of `AudioClass`: position = index = column of the model's scores.
`find` turns what a user typed (a name, a MID or an index) into exactly one class, or an error that names the
nearest choices; `search` ranks classes by how well they fit some words. `yamnet_classes()` are YAMNet's 521.

Conventions: the first rule that fits any class decides, so a weaker rule never overrules a stronger one.
    1. the name, letter for letter; 2. the name, ignoring case; 3. the MID; 4. the index;
    5. the name, ignoring punctuation, spacing and "and"/"&"; 6. the same, and singular or plural endings;
    7. part of a comma name ("kid speaking" in "Child speech, kid speaking"); 8. the same, and endings.
A rule that fits several classes is an `AmbiguousClassError`, never a guess. A qualifier in parentheses does
not name its class: "police car" is "Police car (siren)", "lions" suggests "Roaring cats (lions, tigers)".
Which texts are the same, and which are alike, is up to `augment.targets.text_match`.

Sources: the class map in augment/data (origin and licence in its README); MIDs are those of the AudioSet
ontology (Gemmeke et al., "Audio Set: An ontology and human-labeled dataset for audio events", ICASSP 2017).
"""

from __future__ import annotations

import csv
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import SupportsIndex

from augment.targets import text_match

YAMNET_CLASS_MAP = Path(__file__).parents[1] / "data" / "yamnet_class_map.csv"

_COLUMNS = ("index", "mid", "display_name")
_SUGGESTIONS = 5
_NEAR_THE_BEST = 0.8  # and the share of the best similarity that the others must reach


class ClassLookupError(ValueError):
    """A query that does not lead to exactly one class; the message is one line.

    Attributes:
        candidates: the classes that the message offers, best first; may be empty.
    """

    def __init__(self, message: str, candidates: tuple[AudioClass, ...] = ()) -> None:
        super().__init__(message)  # the message alone, so that Beam can pickle the error
        self.candidates = candidates


class UnknownClassError(ClassLookupError):
    """No class fits the query."""


class AmbiguousClassError(ClassLookupError):
    """Several classes fit the query equally well."""


@dataclass(frozen=True)
class AudioClass:
    """One class of a model: its position in the scores, its AudioSet id ("" if it has none) and its name."""

    index: int
    mid: str
    name: str

    def __str__(self) -> str:
        return f"{self.index} {self.name!r}"


@dataclass(frozen=True)
class ClassList:
    """The classes of a model, in the order of its scores.

    Args:
        classes: [classes] tuple in which each class's index is its position.

    Raises:
        ValueError: an index is not the position.
    """

    classes: tuple[AudioClass, ...]

    def __post_init__(self) -> None:
        for position, item in enumerate(self.classes):
            if item.index != position:
                raise ValueError(f"class {item} is at position {position}; expected index {position}")

    @classmethod
    def from_csv(cls, path: str | Path) -> ClassList:
        """Read a class map: a UTF-8 CSV file with the columns index, mid, display_name and one row per class.

        Args:
            path: the file.

        Returns:
            The classes, in the file's order.

        Raises:
            OSError: the file cannot be read.
            ValueError: a column or name is missing, an index is not its row's position, or there are no rows.
        """
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not set(_COLUMNS) <= set(reader.fieldnames or ()):
                found = ",".join(reader.fieldnames or ()) or "nothing"
                raise ValueError(f"class map {path}: the header is {found}; expected {','.join(_COLUMNS)}")
            classes = []
            for row in reader:
                index, mid, name = ((row[column] or "").strip() for column in _COLUMNS)
                if index != str(len(classes)) or not name:
                    raise ValueError(
                        f"class map {path}, line {reader.line_num}: got index {index!r}, "
                        f"display_name {name!r}; expected index {len(classes)} and a name"
                    )
                classes.append(AudioClass(index=len(classes), mid=mid, name=name))
        if not classes:
            raise ValueError(f"class map {path}: no rows; expected one row per class")
        return cls(tuple(classes))

    def __len__(self) -> int:
        return len(self.classes)

    def __iter__(self) -> Iterator[AudioClass]:
        return iter(self.classes)

    def __getitem__(self, index: int) -> AudioClass:
        """Return the class at `index`; IndexError outside 0..len-1 (a negative index is a mistake here)."""
        position = operator.index(index)
        if not 0 <= position < len(self):
            raise IndexError(f"class index {_shown(index)} is out of range; expected {self._range}")
        return self.classes[position]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Return the display names, [classes], in the order of the scores."""
        return tuple(item.name for item in self.classes)

    def find(self, query: str | SupportsIndex) -> AudioClass:
        """Return the one class that `query` means, by the rules at the top of this module.

        Args:
            query: a name or part of a comma name, a MID such as "/m/0bt9lr", or an index (69 or "69").

        Returns:
            The class.

        Raises:
            AmbiguousClassError: several classes fit equally well; the message lists them.
            UnknownClassError: none fits; the message offers the nearest, or states the range of an index.
        """
        if not isinstance(query, str):
            return self._at(query)
        for rule in _RULES:
            found = tuple(item for item in self.classes if rule(query, item))
            if len(found) > 1:
                raise AmbiguousClassError(
                    f"class {_shown(query)} could be any of {len(found)}: {_listed(found)}; "
                    "expected one: give its full name, its index or its MID",
                    found,
                )
            if found:
                return found[0]
            if rule is _is_mid and re.fullmatch(r"[+-]?[0-9]+", query.strip()):
                if len(query.strip()) > 18:  # no index is this long, and int() refuses 4300 digits
                    raise self._out_of_range(query)
                return self._at(int(query))
        near = tuple(self.search(query, limit=_SUGGESTIONS))
        hint = f"; did you mean {_listed(near)}?" if near else ""
        raise UnknownClassError(f"no class is called {_shown(query)}; expected {self._expected}{hint}", near)

    def search(self, words: str, limit: int = 10) -> list[AudioClass]:
        """Return the classes that fit `words`, best first.

        In this order: what `find` would take (exact names first); names that hold all the words (shortest
        first); names all of whose words are among them ("Dog" for "a dog barking"); names that hold the text
        inside a word; similar spellings (by difflib's ratio, at least 0.6 and not far behind the best).
        Equals keep the order of the list.

        Args:
            words: what to look for; letter case and punctuation do not matter.
            limit: how many classes to return at most, >= 1.

        Returns:
            At most `limit` classes, none twice; empty if nothing is near.

        Raises:
            ValueError: `limit` is below 1.
        """
        if limit < 1:
            raise ValueError(f"limit is {limit}; expected at least 1")
        ranked: dict[AudioClass, None] = {}  # an ordered set
        for rule in _RULES:
            ranked.update((item, None) for item in self.classes if rule(words, item))
        shortest_first = sorted(self.classes, key=lambda item: len(text_match.words(item.name)))
        for rule in (text_match.has_all_words, text_match.is_among_words, text_match.has_text):
            ranked.update((item, None) for item in shortest_first if rule(words, item.name))
        if len(ranked) < limit:
            ranked.update((item, None) for item in self._by_spelling(words))
        return list(ranked)[:limit]

    @property
    def _range(self) -> str:
        return f"0..{len(self) - 1}"

    @property
    def _expected(self) -> str:
        return f"a name, a MID or an index {self._range}"

    def _out_of_range(self, index: object) -> UnknownClassError:
        return UnknownClassError(f"class index {_shown(index)} is out of range; expected {self._range}")

    def _at(self, index: SupportsIndex) -> AudioClass:
        """Return the class at an index from outside; anything but an integer in range is unknown."""
        try:
            position = None if isinstance(index, bool) else operator.index(index)  # YAML reads "yes" as True
        except TypeError:
            position = None
        if position is None:
            kind = type(index).__name__
            raise UnknownClassError(f"class {_shown(index)} is of type {kind}; expected {self._expected}")
        if not 0 <= position < len(self):
            raise self._out_of_range(position)
        return self.classes[position]

    def _by_spelling(self, query: str) -> list[AudioClass]:
        """Return the classes spelt like the query, most similar first, without those far behind the best."""
        similarity = {item: _similarity(query, item) for item in self.classes}
        least = max(text_match.NEAR, _NEAR_THE_BEST * max(similarity.values(), default=0.0))
        near = [item for item in self.classes if similarity[item] >= least]
        return sorted(near, key=lambda item: -similarity[item])


@cache
def yamnet_classes() -> ClassList:
    """Return the 521 AudioSet classes that YAMNet scores, in the order of its outputs (read once)."""
    return ClassList.from_csv(YAMNET_CLASS_MAP)


# The rules of find, strongest first -------------------------------------------------------------------------


def _is_mid(query: str, item: AudioClass) -> bool:
    return bool(item.mid) and query.strip().casefold() == item.mid.casefold()


_RULES: tuple[Callable[[str, AudioClass], bool], ...] = (
    lambda query, item: query.strip() == item.name,
    lambda query, item: text_match.plain(query) == text_match.plain(item.name),
    _is_mid,  # an index comes after this one
    lambda query, item: text_match.same(query, item.name),
    lambda query, item: text_match.same_but_endings(query, item.name),
    lambda query, item: any(text_match.same(query, part) for part in text_match.parts(item.name)),
    lambda query, item: any(text_match.same_but_endings(query, part) for part in text_match.parts(item.name)),
)


def _similarity(query: str, item: AudioClass) -> float:
    """Return how alike query and class are spelt, in [0, 1]."""
    if query.strip().startswith("/"):  # a mistyped MID
        return text_match.ratio(query.strip().casefold()[: text_match.FUZZY_CHARACTERS], item.mid.casefold())
    return text_match.similarity(query, item.name)


# What an error shows: always one line, whatever came --------------------------------------------------------


def _shown(query: object) -> str:
    try:
        text = " ".join(repr(query).splitlines())
    except ValueError:  # Python refuses to write integers of more than 4300 digits
        text = "of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _listed(classes: tuple[AudioClass, ...]) -> str:
    return ", ".join(map(str, classes))
