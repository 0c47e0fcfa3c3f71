"""TensorFlow's import, without the greetings that it prints on stderr whatever it is told."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator


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
