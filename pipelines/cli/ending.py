"""How a command ends: exit codes, and errors as one line that names the remedy."""

from __future__ import annotations

import re
import signal
import sys
import threading

import typer

DONE, FAILED, WRONG_ARGUMENTS, SOME_CLIPS_FAILED, STOPPED = 0, 1, 2, 3, 130

STOPPED_SAYS = {
    "augment": "stopped; no dataset was written",
    **dict.fromkeys(("evaluate", "robustness"), "stopped before the report was finished"),
    "utility": "stopped before the report was finished; run the same command again to continue",
}
"""What is printed when a command is interrupted, by its name."""

_OWN = ("augment", "pipelines", "evaluation")
_RAISED = r"^(?P<module>(?:[A-Za-z_]\w*\.)*)[A-Za-z_]\w*(?:Error|Exception): "
_BEAM_STEP = r"\s*\[while running '[^']*'\]"  # Beam appends it to an error's message


def stop_on_signals() -> list[int]:
    """Turn SIGINT and SIGTERM into KeyboardInterrupt; return a list that will hold the signals received.

    Beam reports an interrupt inside a worker as an error of the pipeline; the list shows that it was a signal.
    """
    received: list[int] = []

    def stop(number: int, frame: object) -> None:
        del frame
        received.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
    return received


def explain(error: Exception) -> int:
    """Print one line for an error and return the exit code."""
    if isinstance(error, typer.Abort):
        return complain("stopped") or STOPPED
    message = getattr(error, "format_message", lambda: str(error))()
    message, module = _last_error(message, type(error).__module__)
    text = " ".join(re.sub(_BEAM_STEP, "", message or type(error).__name__).split())
    if hasattr(error, "format_message"):  # the parser of the command line raised it
        context = getattr(error, "ctx", None)
        return complain(f"{text} (see {context.command_path if context else 'dreambeam'} --help)") or WRONG_ARGUMENTS
    if isinstance(error, ValueError) and type(error).__module__.startswith(_OWN):
        return complain(text) or WRONG_ARGUMENTS
    hint = "" if module.startswith(_OWN) else " (--debug shows where)"
    return complain(f"{text}{hint}") or FAILED


def complain(message: str) -> None:
    """Print one line on stderr."""
    print(f"dreambeam: {message}", file=sys.stderr)


def _last_error(message: str, module: str) -> tuple[str, str]:
    """Return a message and its error's module; for a traceback of a Beam process, those of the last error in it."""
    if "Traceback (most recent call last):" in message and (raised := [*re.finditer(_RAISED, message, re.MULTILINE)]):
        return message[raised[-1].end() :], raised[-1]["module"]
    return message, module
