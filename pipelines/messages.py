"""Parts of error messages: the reason of an error on one line, and the names that may have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping


def printable(text: str) -> str:
    """Return text that UTF-8 holds on one line: white space as single spaces, other control characters escaped."""
    line = " ".join(text.split()).encode("utf-8", "backslashreplace").decode()
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in line)


def one_line(error: BaseException) -> str:
    """Return the reason of an error, without a full stop, and without file names where the error keeps them apart."""
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return printable(str(text)).rstrip(".")


def did_you_mean(
    wanted: str,
    choices: Iterable[str],
    *,
    shown: Mapping[str, str] | None = None,
    count: int = 1,
    cutoff: float = 0.6,
) -> str:
    """Return the end of a message that names the choices that are spelt like the wanted one; "" if none is.

    `shown` is how to show the choices, if not as they are; `cutoff` the least likeness, 0 to 1 (`difflib`).
    """
    near = difflib.get_close_matches(wanted, list(choices), n=count, cutoff=cutoff)
    names = [shown[each] for each in near] if shown else near
    return f"; did you mean {' or '.join(map(repr, names))}?" if names else ""
