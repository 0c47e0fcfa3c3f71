"""Markup: HTML that is escaped by construction.

`element` makes `Markup`; any other child or attribute value is text, and is escaped. So file names, labels and configs
never become markup, as long as nobody calls `Markup` on them.

Text goes through `shown` first, which spells out control characters and direction marks (Unicode Standard Annex 9): a
name can neither hide its end nor reorder its line.
"""

from __future__ import annotations

import html
import re
import unicodedata


class Markup(str):
    """HTML that is not escaped again."""

    __slots__ = ()


VOID = frozenset({"br", "col", "hr", "img", "meta"})
"""Elements that have no end tag."""

_TURNS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_NAME = re.compile(r"[a-z][a-z0-9-]*")


def shown(text: object) -> str:
    r"""Spell out control characters, direction marks and lone surrogates, as ``\n`` or ``\u202e``."""
    return "".join(_SHORT.get(each, f"\\u{ord(each):04x}") if _is_hidden(each) else each for each in str(text))


def escape(value: object) -> Markup:
    """Return markup unchanged, and anything else as escaped text."""
    return value if isinstance(value, Markup) else Markup(html.escape(shown(value)))


def element(tag: str, *children: object, **attributes: object) -> Markup:
    """Return one element.

    Args:
        tag: its name.
        children: markup, or text to escape; None is left out.
        attributes: by name, with "_" for "-" and after Python's keywords (``class_``). Values are escaped; True gives a
            bare attribute, None and False give none.

    Raises:
        ValueError: the tag or an attribute has no valid name.
    """
    names = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    if wrong := [name for name in (tag, *names) if not _NAME.fullmatch(name)]:
        raise ValueError(f"{wrong[0]!r} names no element or attribute: expected small letters, digits and hyphens")
    written = "".join(
        f" {name}" if value is True else f' {name}="{escape(str(value))}"'
        for name, value in names.items()
        if value is not None and value is not False
    )
    if tag in VOID:
        return Markup(f"<{tag}{written}>")
    return Markup(f"<{tag}{written}>{join(*children)}</{tag}>")


def join(*children: object) -> Markup:
    """Concatenate markup and escaped text, without None."""
    return Markup("".join(escape(child) for child in children if child is not None))


def name(text: object) -> Markup:
    """Return a user's text, isolated so that its direction of writing ends with it."""
    return element("bdi", str(text))


def _is_hidden(character: str) -> bool:
    return character in _TURNS or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
