"""The command line: ``dreambeam COMMAND``.

To add a command, write its module in `pipelines.cli.commands` and add its name to `COMMANDS`. A command imports heavy
libraries only when it runs, so ``--help`` is instant. Exit codes: 0 done; 1 the run failed; 2 wrong arguments or
configuration; 3 done, but some clips failed; 130 stopped. An error that the user can mend is one line on stderr.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from pipelines.cli.ending import DONE, FAILED, STOPPED, STOPPED_SAYS, complain, explain, stop_on_signals

COMMANDS = (
    *("augment", "export", "dream", "classify", "evaluate", "robustness", "utility"),
    *("configs", "targets", "plan", "replay", "verify", "doctor", "benchmark"),
)


class _Commands(TyperGroup):
    """The commands; each module is imported when its command is used or listed."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"pipelines.cli.commands.{cmd_name}_command")
        return typer.main.get_command(module.app)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"dreambeam {version('dreambeam')}")
        raise typer.Exit()


app = typer.Typer(cls=_Commands, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.callback(context_settings={"help_option_names": ["-h", "--help"]})
def _dreambeam(
    version: bool = typer.Option(
        False, "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
    ),
) -> None:
    """Augment audio datasets by dreaming through YAMNet, and evaluate the result."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    signals, code = stop_on_signals(), None
    try:
        code = typer.main.get_command(app)(given or ["--help"], prog_name="dreambeam", standalone_mode=False)
    except BrokenPipeError:  # the reader of our output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = DONE
    except (KeyboardInterrupt, SystemExit) as end:
        code = getattr(end, "code", STOPPED)
    except Exception as error:
        if "--debug" in given and not signals:
            raise
        code = FAILED if signals else explain(error)
    if signals:
        complain(STOPPED_SAYS.get(given[0] if given else "", "stopped"))
        code = STOPPED
    sys.exit(code or DONE)
