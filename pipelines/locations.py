"""Locations: what a path or URI that a user wrote leads to.

Takes paths of this machine, file URIs, and URIs of any file system that Beam opens ("gs://bucket/x.wav"); gives
text, and opens no file. Everything with another scheme than "file" counts as another file system.

Conventions: a location is an absolute path with forward slashes, or a URI, without a slash at the end.

Sources: RFC 8089 (file URIs).
"""

from __future__ import annotations

import difflib
import os
import re
import urllib.parse


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
        near = difflib.get_close_matches(parts[there], os.listdir(parent + "/"), n=3, cutoff=0.6)
    except OSError:
        return ""
    if near:
        return f"; did you mean {' or '.join(repr(f'{parent}/{name}') for name in near)}?"
    return f"; {parent + '/'!r} exists, {parts[there]!r} is not in it"
