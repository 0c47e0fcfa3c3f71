"""Text matching: whether a user's words (the query) name a class, and how alike they are spelt.

Letter case, Unicode variants (NFKC), punctuation and "and"/"&" never matter. A name may have comma parts, each of which
names the same thing ("Child speech, kid speaking"); text in parentheses is a qualifier, and no part. A query without
words matches nothing. `augment.targets.classes` decides which comparison counts for more.

Spelling is compared by Python's difflib (Ratcliff and Metzener, Dr. Dobb's Journal, July 1988).
"""

from __future__ import annotations

import re
import unicodedata
from difflib import SequenceMatcher
from functools import lru_cache

NEAR = 0.6  # difflib similarity from which a spelling counts as near (difflib's own default cutoff)
_WORD_WEIGHT = 0.9  # likeness to one word of a name counts less than likeness to all of it
_BEGINNING = 0.9  # similarity of "bark" and "barking", which difflib finds 0.73 alike
FUZZY_CHARACTERS = 64  # no name is longer; bounds the work on absurd input


@lru_cache(maxsize=8192)
def plain(text: str) -> str:
    """Return the text in Unicode's form NFKC, case-folded, with single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


@lru_cache(maxsize=8192)
def words(text: str) -> tuple[str, ...]:
    """Return the words, without punctuation and "and"; "dentist's" is one word, "hi-hat" two."""
    joined = re.sub(r"['\u2019]", "", plain(text))
    return tuple(word for word in re.findall(r"[^\W_]+", joined) if word != "and")


@lru_cache(maxsize=8192)
def _singulars(word: str) -> frozenset[str]:
    """Return the word and whatever it could be the English plural of; two words agree if these sets meet."""
    forms = {word}
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        forms.add(word[:-1])
        if word.endswith("ies"):
            forms.add(word[:-3] + "y")
        if word.endswith("ves"):
            forms.update((word[:-3] + "f", word[:-3] + "fe"))
        if word.endswith(("ses", "xes", "zes", "ches", "shes", "oes")):
            forms.add(word[:-2])
    return frozenset(forms)


@lru_cache(maxsize=8192)
def parts(name: str) -> tuple[str, ...]:
    """Return each run of a name's comma parts that has words, without text in parentheses; the whole is one of them."""
    pieces = [piece for piece in re.sub(r"\(.*?\)", " ", name).split(",") if words(piece)]
    ends = range(len(pieces) + 1)
    return tuple(" ".join(pieces[start:stop]) for start in ends for stop in ends[start + 1 :])


def same(query: str, name: str) -> bool:
    """Return whether two texts have the same letters, as "hi hat", "Hi-Hat" and "hihat" do, and at least one."""
    return bool(words(query)) and "".join(words(query)) == "".join(words(name))


def same_but_endings(query: str, name: str) -> bool:
    """Return whether two texts have the same words, at least one, except for singular and plural endings."""
    left, right = words(query), words(name)
    return bool(left) and len(left) == len(right) and all(map(_agree, left, right))


def _agree(left: str, right: str) -> bool:
    return not _singulars(left).isdisjoint(_singulars(right))


def has_all_words(query: str, name: str) -> bool:
    """Return whether a name has all words of the query, in any order, except for endings."""
    wanted = words(query)
    return bool(wanted) and all(any(_agree(word, other) for other in words(name)) for word in wanted)


def is_among_words(query: str, name: str) -> bool:
    """Return whether the query, cut to 256 characters, has all words of some part of a name: "a dog barking", "Dog"."""
    given = words(query[: 4 * FUZZY_CHARACTERS])
    return any(all(any(_agree(word, other) for other in given) for word in words(p)) for p in parts(name))


def has_text(query: str, name: str) -> bool:
    """Return whether a name has the words of the query in a row, even inside a word; at least two characters."""
    text = " ".join(words(query))
    return len(text) > 1 and text in " ".join(words(name))


def similarity(query: str, name: str) -> float:
    """Return the best similarity, in [0, 1], of wholes, comma parts and words of the query and a name.

    A fragment that is one word of its text counts 0.9; the query is cut to `FUZZY_CHARACTERS`.
    """
    return max(
        (
            ratio(left, right) * left_weight * right_weight
            for left, left_weight in _fragments(query[:FUZZY_CHARACTERS], ()).items()
            for right, right_weight in _fragments(name, parts(name)).items()
        ),
        default=0.0,
    )


@lru_cache(maxsize=8192)
def _fragments(text: str, parts: tuple[str, ...]) -> dict[str, float]:
    """Return what is compared for spelling, with weights: the text, its parts and its words."""
    wholes = {"".join(words(piece)): 1.0 for piece in (text, *parts) if words(piece)}
    return {word: _WORD_WEIGHT for word in words(text) if len(word) > 2} | wholes


@lru_cache(maxsize=65536)
def ratio(left: str, right: str) -> float:
    """Return difflib's similarity of two texts as they stand, in [0, 1]; 0 where it is surely below `NEAR`.

    It is at least 0.9 where one text, of four characters or more, is the beginning of the other. The order matters.
    """
    if min(len(left), len(right)) >= 4 and (left.startswith(right) or right.startswith(left)):
        return max(_BEGINNING, SequenceMatcher(None, left, right, autojunk=False).ratio())
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    if matcher.real_quick_ratio() < NEAR or matcher.quick_ratio() < NEAR:
        return 0.0
    return matcher.ratio()
