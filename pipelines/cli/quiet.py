"""Stderr without the messages that native code and worker processes print there.

TensorFlow logs at its import, Beam's local workers log all that they do, decoders warn. A user sees the program's own
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
    """Prints messages on the present `sys.stderr`."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message."""
        print(f"dreambeam: {record.getMessage()}", file=sys.stderr, flush=True)


def start_tensorflow() -> None:
    """Import TensorFlow quietly, and show the packages' own messages, such as that they fetch the weights.

    If the import fails, what TensorFlow printed is shown.
    """
    with _stderr_held():
        import tensorflow as tf

        tf.constant(0.0)
    tf.get_logger().setLevel("ERROR")
    logging.getLogger("absl").setLevel(logging.ERROR)
    logging.getLogger("root").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    log = logging.getLogger("dreambeam")
    log.setLevel(logging.INFO)
    log.propagate = False
    if not log.handlers:
        log.addHandler(_Stderr())


@contextlib.contextmanager
def own_stderr() -> Iterator[None]:
    """Leave stderr to Python's `sys.stderr`: file descriptor 2, which workers inherit, leads nowhere meanwhile."""
    previous = sys.stderr
    with open(os.devnull, "w") as nowhere, _redirected(nowhere.fileno()) as saved:
        if saved is None:
            yield
            return
        with open(saved, "w", buffering=1, closefd=False) as sys.stderr:
            try:
                yield
            finally:
                sys.stderr = previous


@contextlib.contextmanager
def _stderr_held() -> Iterator[None]:
    """Hold back what native code writes to file descriptor 2, and show it only if the block fails."""
    with tempfile.TemporaryFile() as held:
        try:
            with _redirected(held.fileno()):
                yield
        except BaseException:
            held.seek(0)
            os.write(2, held.read())
            raise


@contextlib.contextmanager
def _redirected(target: int) -> Iterator[int | None]:
    """Let file descriptor 2 lead to another one; yield a copy of the former, None if there is no stderr."""
    try:
        saved = os.dup(2)
    except OSError:
        yield None
        return
    sys.stderr.flush()
    os.dup2(target, 2)
    try:
        yield saved
    finally:
        os.dup2(saved, 2)
        os.close(saved)


@contextlib.contextmanager
def only_own_messages(*, local: bool, debug: bool) -> Iterator[None]:
    """Show only warnings of Beam while a pipeline runs; with debug show all its messages.

    Args:
        local: the pipeline runs on this machine, where its workers print to the same stderr.
        debug: show Beam's own messages.
    """
    logging.basicConfig(level=logging.INFO if debug else logging.ERROR)
    logging.getLogger("apache_beam").setLevel(logging.DEBUG if debug else logging.WARNING)
    if not debug:  # it prints the traceback of an error that is raised again and explained in one line
        logging.getLogger("apache_beam.runners.common").setLevel(logging.CRITICAL)
    with own_stderr() if local and not debug else contextlib.nullcontext():
        yield
