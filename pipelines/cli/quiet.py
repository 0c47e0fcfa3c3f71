"""Stderr without what native code and worker processes print there, whatever they are told.

TensorFlow greets at its import, Beam's local workers log all that they do, decoders warn. A user sees the program's own
lines; ``--debug`` shows the rest.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator


class _Stderr(logging.Handler):
    """Prints messages on what `sys.stderr` is at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message."""
        print(f"dreambeam: {record.getMessage()}", file=sys.stderr, flush=True)


def show_messages() -> None:
    """Show what the packages tell their user, such as that they fetch the weights."""
    log = logging.getLogger("dreambeam")
    log.setLevel(logging.INFO)
    log.propagate = False
    if not log.handlers:
        log.addHandler(_Stderr())


def import_tensorflow() -> None:
    """Import TensorFlow and start its runtime quietly; if that fails, what it printed is shown."""
    with _stderr_held():
        import tensorflow as tf

        tf.constant(0.0)
    tf.get_logger().setLevel("ERROR")
    logging.getLogger("absl").setLevel(logging.ERROR)
    logging.getLogger("root").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")


@contextlib.contextmanager
def own_stderr() -> Iterator[None]:
    """Leave stderr to Python's own `sys.stderr`: file descriptor 2, which workers inherit, leads nowhere meanwhile."""
    try:
        saved = os.dup(2)
    except OSError:  # there is no stderr
        yield
        return
    previous = sys.stderr
    previous.flush()
    with open(os.devnull, "w") as nowhere, os.fdopen(saved, "w", buffering=1) as own:
        os.dup2(nowhere.fileno(), 2)
        sys.stderr = own
        try:
            yield
        finally:
            os.dup2(saved, 2)
            sys.stderr = previous


@contextlib.contextmanager
def _stderr_held() -> Iterator[None]:
    """Keep what native code writes to file descriptor 2, and show it only if the block fails."""
    try:
        saved = os.dup(2)
    except OSError:  # there is no stderr
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(saved, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


@contextlib.contextmanager
def only_own_messages(*, local: bool, debug: bool) -> Iterator[None]:
    """Leave out what Beam tells while a pipeline runs, but its warnings; with debug show all.

    Args:
        local: the pipeline runs on this machine, where its workers print to the same stderr.
        debug: show Beam's own messages.
    """
    logging.basicConfig(level=logging.INFO if debug else logging.ERROR)
    logging.getLogger("apache_beam").setLevel(logging.DEBUG if debug else logging.WARNING)
    if not debug:  # it prints the traceback of what is raised again and explained in one line
        logging.getLogger("apache_beam.runners.common").setLevel(logging.CRITICAL)
    with own_stderr() if local and not debug else contextlib.nullcontext():
        yield
