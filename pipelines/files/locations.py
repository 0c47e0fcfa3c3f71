"""Locations: what a path or URI that a user wrote leads to.

Takes paths of this machine, file URIs, and URIs of any file system that Beam opens ("gs://bucket/x.wav"); gives
text, and opens no file. Everything with another scheme than "file" counts as another file system.

Conventions: a location is an absolute path with forward slashes, or a URI, without a slash at the end.

Sources: RFC 8089 (file URIs).
"""

from __future__ import annotations

import os
import posixpath
import re
import urllib.parse

from pipelines.messages import did_you_mean


def local_path(uri: str) -> str | None:
    """Give the local path that a URI or path means.

    Args:
        uri: a path as it is, a file URI (percent-encoded), or a URI of another file system.

    Returns:
        The path, neither made absolute nor looked up; None where it lies in another file system.
    """
    if uri.startswith("file://"):
        return os.fsdecode(urllib.parse.unquote_to_bytes(re.sub("^file://(localhost(?=/))?", "", uri)))
    return None if re.match("[A-Za-z][A-Za-z0-9+.-]*://", uri) else uri


def locate(given: str) -> str:
    """Spell what a user wrote as a location: an absolute path with forward slashes, or a URI.

    Args:
        given: a path ("~" and relative ones are taken from here), a file URI, or a URI of another file system.

    Returns:
        The location, without a slash at the end; "" for the root folder. Nothing is looked up.
    """
    path = local_path(given)
    if path is None:
        return given.rstrip("/")
    path = os.path.abspath(os.path.expanduser(path))
    return path.replace(os.sep, "/").rstrip("/")


def resolve(written: str, base: str, root: str) -> tuple[str, str]:
    """Find what a row or line of a file means, and hold it to the root.

    Args:
        written: a path or URI; a relative path is taken from `base`.
        base: location of the folder of the file that it is written in.
        root: location of the folder that it has to lie in, links followed.

    Returns:
        Its location, and its path below the root.

    Raises:
        ValueError: it lies elsewhere, or no path can be like that; the message says which.
    """
    path = local_path(written)
    if path is None or (local_path(base) is None and not written.startswith("file://")):
        scheme, _, rest = (written if path is None else f"{base}/{written}").partition("://")
        location = f"{scheme}://{posixpath.normpath(rest)}"
        if not location.startswith(root + "/"):
            raise ValueError(f"{written!r} lies outside {root!r}")
        return location, location[len(root) + 1 :]
    if "\0" in path:
        raise ValueError(f"{written!r} holds a null character")
    location = os.path.normpath(os.path.join(base + "/", path)).replace(os.sep, "/")
    try:
        real, real_root = os.path.realpath(location), os.path.realpath(root + "/")
    except (OSError, ValueError) as error:
        raise ValueError(f"{written!r} is no path of this system") from error
    if real == real_root or not real.startswith(real_root.rstrip("/") + "/"):
        raise ValueError(f"{written!r} lies outside {root!r}")
    below = location[len(root) + 1 :] if location.startswith(root + "/") else os.path.relpath(real, real_root)
    return location, below.replace(os.sep, "/")


def as_text(path: str) -> str:
    r"""Make a path text that can be written: bytes that are not UTF-8 become \xNN."""
    try:
        return os.fsencode(path).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half of a surrogate pair, which no file's name holds
        return path.encode("utf-8", "backslashreplace").decode()


def as_uri(location: str) -> str:
    """Give a location as text that can be written: the path itself, or a file URI where it is not UTF-8."""
    try:
        location.encode()
    except UnicodeEncodeError:
        try:
            return "file://" + urllib.parse.quote(os.fsencode(location))
        except UnicodeEncodeError:
            return as_text(location)
    return location


def nearest(path: str) -> str:
    """Suggest what may have been meant by a path that is not there.

    Args:
        path: a location, as `locate` gives it.

    Returns:
        The end of a message, which begins with "; ": up to three names that are spelt like the first part that is
        missing, or the folder in which it is missing. "" where nothing of the path is there, or it is not local.
    """
    if local_path(path) is None:
        return ""
    parts = path.split("/")
    there = next((i for i in range(len(parts) - 1, 0, -1) if os.path.isdir("/".join(parts[:i]) + "/")), 0)
    if not there:
        return ""
    parent = "/".join(parts[:there])
    try:
        names = {name: f"{parent}/{name}" for name in os.listdir(parent + "/")}
    except OSError:
        return ""
    hint = did_you_mean(parts[there], names, shown=names, count=3)
    return hint or f"; {parent + '/'!r} exists, {parts[there]!r} is not in it"
