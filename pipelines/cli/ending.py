"""How a command ends: exit codes, and errors as one line that names the remedy."""

from __future__ import annotations

import re
import signal
import sys
import threading

import typer

DONE, FAILED, WRONG_ARGUMENTS, SOME_CLIPS_FAILED, STOPPED = 0, 1, 2, 3, 130


def stop_on_signals() -> list[int]:
    """Turn Ctrl-C and SIGTERM into KeyboardInterrupt; return a list that holds the signal once one has come.

    Beam reports an interrupt inside a worker as an error of the pipeline: the list tells what it was.
    """
    came: list[int] = []

    def stop(number: int, frame: object) -> None:
        del frame
        came.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
    return came


def explain(error: Exception) -> int:
    """Print one line for an error and return the exit code."""
    told = getattr(error, "format_message", lambda: str(error))()
    told, module = _last_error(told, type(error).__module__)
    text = " ".join(re.sub(_BEAM_STEP, "", told or type(error).__name__).split())
    if isinstance(error, typer.Abort):
        return complain("stopped") or STOPPED
    if hasattr(error, "format_message"):  # of the command line's own parser
        context = getattr(error, "ctx", None)
        return complain(f"{text} (see {context.command_path if context else 'dreambeam'} --help)") or WRONG_ARGUMENTS
    if isinstance(error, ValueError) and type(error).__module__.startswith(_OWN):
        return complain(text) or WRONG_ARGUMENTS
    hint = "" if module.startswith(_OWN) else " (--debug shows where)"
    return complain(f"{text}{hint}") or FAILED


STOPPED_SAYS = {
    "augment": "stopped; no dataset was written",
    **dict.fromkeys(("evaluate", "robustness"), "stopped before the report was finished"),
    "utility": "stopped before the report was finished; the same command goes on from here",
}
"""What an interrupted command leaves, by its name."""


def _last_error(told: str, module: str) -> tuple[str, str]:
    """Return a message and its error's module; of a traceback from one of Beam's processes, what was raised last."""
    raised = list(re.finditer(_RAISED, told, re.MULTILINE)) if "Traceback (most recent call last):" in told else []
    return (told[raised[-1].end() :], raised[-1]["module"]) if raised else (told, module)


_RAISED = r"^(?P<module>(?:[A-Za-z_]\w*\.)*)[A-Za-z_]\w*(?:Error|Exception): "

_OWN = ("augment", "pipelines", "evaluation")

_BEAM_STEP = r"\s*\[while running '[^']*'\]"
"""What Beam adds to the message of an error that a step raises."""


def complain(message: str) -> None:
    """Print one line on stderr."""
    print(f"dreambeam: {message}", file=sys.stderr)
