"""Markup: HTML that is escaped by construction.

`element` makes `Markup`; whatever else comes in as a child or as an attribute's value is text, and is escaped. So what
file names, labels and configs hold never becomes markup, as long as nobody calls `Markup` on it.

Text from outside goes through `shown` first: control characters and those that turn the direction of writing (Unicode
Standard Annex 9) are spelled out, so that a name cannot hide its end or reorder the line that it stands in.
"""

from __future__ import annotations

import html
import re
import unicodedata


class Markup(str):
    """HTML that is to stand as it is."""

    __slots__ = ()


VOID = frozenset({"br", "col", "hr", "img", "meta"})
"""Elements that have no end tag."""

_TURNS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_NAME = re.compile(r"[a-z][a-z0-9-]*")


def shown(text: object) -> str:
    r"""Return text on one line: control characters, direction marks, lone surrogates become ``\n`` or ``\u202e``."""
    return "".join(_SHORT.get(each, f"\\u{ord(each):04x}") if _is_hidden(each) else each for each in str(text))


def escape(value: object) -> Markup:
    """Return markup as it is, and anything else as text that means itself."""
    return value if isinstance(value, Markup) else Markup(html.escape(shown(value)))


def element(tag: str, *children: object, **attributes: object) -> Markup:
    """Return one element.

    Args:
        tag: its name.
        children: markup, or text that is escaped; None is left out.
        attributes: by name, with "_" for "-" and at the end of Python's own words (``class_``). Values are escaped;
            True gives a bare attribute, None and False give none.

    Raises:
        ValueError: the name of the tag or of an attribute is none.
    """
    names = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    if wrong := [name for name in (tag, *names) if not _NAME.fullmatch(name)]:
        raise ValueError(f"{wrong[0]!r} names no element or attribute: expected small letters, digits and hyphens")
    told = "".join(
        f" {name}" if value is True else f' {name}="{escape(str(value))}"'
        for name, value in names.items()
        if value is not None and value is not False
    )
    if tag in VOID:
        return Markup(f"<{tag}{told}>")
    return Markup(f"<{tag}{told}>{join(*children)}</{tag}>")


def join(*children: object) -> Markup:
    """Return markup one after the other, text escaped, without None."""
    return Markup("".join(escape(child) for child in children if child is not None))


def name(text: object) -> Markup:
    """Return a name from outside: isolated, so that its direction of writing ends with it."""
    return element("bdi", str(text))


def _is_hidden(character: str) -> bool:
    return character in _TURNS or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
