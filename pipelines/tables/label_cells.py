"""Label cells: the labels in one cell of a table.

Takes text, a number or a list, as tables hold them; gives labels. Nothing is evaluated.

Conventions: several labels are a list, a list written as text (JSON; a Python list, tuple or set; a NumPy array, whose
items are separated by spaces), or text with a separator. An item that is None, null or nan is left out.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from typing import Any

from pipelines.clips.references import tidy
from pipelines.tables.table_reader import cell_text

SEPARATORS = ("|", ";", ",")
"""What may part the labels of one cell, the first that is in it."""

_BRACKETS = {"[": "]", "(": ")", "{": "}"}
_STRING = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_NUMBER = r"[-+]?\d+(?:\.\d*)?"
_NOTHING = r"None|null|nan|NaN"
_TOKEN = re.compile(rf"\s*(?:(?P<string>[bur]?(?:{_STRING}))|(?P<number>{_NUMBER})|{_NOTHING})\s*,?", re.S)
_WRAPPED = re.compile(r"(?:np\.|numpy\.)?(?:array|frozenset|set|list|tuple)\(")
_LIST = re.compile(r"\[\s*(?:[bur]?['\"]|\[|\{|$)")  # a list of Python's or JSON's, whole or not
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.S)


def labels_in(value: Any, *, separator: str | None, several: bool) -> tuple[str, ...] | None:
    """Return the labels in a cell, each once; None if they are not text or numbers, or an unreadable list.

    Args:
        value: of the cell.
        separator: of the labels in a text that is not a list; None: nothing, or one of `SEPARATORS`.
        several: whether the column holds several labels: its texts are then split without a separator given, and a list
            may have items without quotes.
    """
    if isinstance(value, str):
        written = _literal(value.strip(), bare=several)
        if written is None and _LIST.match(value.strip()):
            return None
        value = value if written is None else written
    if isinstance(value, (list, tuple)):
        texts = [cell_text(each) for each in value]
        return None if None in texts else tidy(filter(None, texts))
    text = cell_text(value)
    if text is None:
        return None
    if separator is None and several:
        separator = next((each for each in SEPARATORS if each in text), None)
    return tidy(text.split(separator) if separator else [text])


def _literal(text: str, *, bare: bool) -> Sequence[Any] | None:
    """Read a list that is written as text; None if it is none."""
    if text[:2] in ('"[', '"(', '"{') and text.endswith('"'):  # of a TSV that was written with quotes
        text = text[1:-1].replace('""', '"')
    if (wrapped := _WRAPPED.match(text)) and text.endswith(")"):
        text = text[wrapped.end() : -1].strip()
        items, dtype, _ = text.rpartition("dtype=")
        text = items.rstrip(", \n") if dtype else text
    if text[:1] not in _BRACKETS or text[-1] != _BRACKETS[text[0]] or len(text) < 2:
        return None
    if text[0] == "[":
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(text)
    inner = text[1:-1].strip()
    if not inner:
        return [] if text[0] == "[" else None
    found = _items(inner)
    if found is not None and (text[0] == "[" or inner[0] in "'\""):  # (3) and {x} are names
        return found
    return inner.split(",") if bare and text[0] == "[" and not re.search(r"['\"\[\]{}]", inner) else None


def _items(inner: str) -> list[str] | None:
    """Read strings and numbers separated by commas or spaces; None if there is anything else."""
    found: list[str] = []
    place = 0
    while place < len(inner):
        token = _TOKEN.match(inner, place)
        if token is None:
            return None
        place = token.end()
        if token["string"]:
            found.append(_ESCAPE.sub(_character, token["string"].lstrip("bur")[1:-1]))
        elif token["number"]:
            found.append(re.sub(r"\.0*$", "", token["number"]))
    return found


def _character(escape: re.Match[str]) -> str:
    """Return the character of an escape in a string; line breaks and tabs become spaces."""
    code = escape[1] or escape[2] or escape[3]
    if code is None:
        return " " if escape[4] in "nrt" else escape[4]
    return chr(int(code, 16)) if int(code, 16) < 0x110000 else escape[0]
