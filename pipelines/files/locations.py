"""Locations: paths of this machine, file URIs, and URIs of any file system that Beam opens ("gs://bucket/x.wav").

Conventions: a location is an absolute path with forward slashes, or a URI, without a slash at the end. Everything with
another scheme than "file" is another file system. No file is opened.

Sources: RFC 8089 (file URIs).
"""

from __future__ import annotations

import os
import posixpath
import re
import urllib.parse

from pipelines.messages import did_you_mean


def local_path(uri: str) -> str | None:
    """Return the local path of a path or file URI (percent-encoded), as it is; None for another file system."""
    if uri.startswith("file://"):
        return os.fsdecode(urllib.parse.unquote_to_bytes(re.sub("^file://(localhost(?=/))?", "", uri)))
    return None if re.match("[A-Za-z][A-Za-z0-9+.-]*://", uri) else uri


def locate(given: str) -> str:
    """Return the location of a path or URI ("~" and relative paths are taken from here); "" for the root folder."""
    path = local_path(given)
    if path is None:
        return given.rstrip("/")
    path = os.path.abspath(os.path.expanduser(path))
    return path.replace(os.sep, "/").rstrip("/")


def resolve(written: str, base: str, root: str) -> tuple[str, str]:
    """Resolve a path in a row or line of a file, and check that it lies below the root.

    Args:
        written: a path or URI; a relative path is taken from `base`.
        base: location of the folder of the file that it is written in.
        root: location of the folder that it has to lie in, links followed.

    Returns:
        Its location, and its path below the root.

    Raises:
        ValueError: it lies elsewhere, or is no possible path; the message says which.
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
    r"""Return a path as valid UTF-8: other bytes become \xNN."""
    try:
        return os.fsencode(path).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half of a surrogate pair, which no file's name holds
        return path.encode("utf-8", "backslashreplace").decode()


def as_uri(location: str) -> str:
    """Return a location as valid UTF-8: the path itself, or else a file URI."""
    try:
        location.encode()
    except UnicodeEncodeError:
        try:
            return "file://" + urllib.parse.quote(os.fsencode(location))
        except UnicodeEncodeError:
            return as_text(location)
    return location


def nearest(path: str) -> str:
    """Return the end of a message on a location that does not exist, which begins with "; ".

    It names up to three names that are spelt like the first part that is missing, or the folder in which that is
    missing. "" where nothing of the path exists, or it is not local.
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
