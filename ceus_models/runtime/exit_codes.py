"""Exit codes of the three commands: 0 done, 1 expected error, 2 usage, 3 bug with a log file, 130 interrupted."""

from __future__ import annotations

import errno
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import click
import typer
from rich.markup import escape

from ceus_models.runtime.errors import ExpectedError, is_disk_full, list_calls
from ceus_models.runtime.humanize import clean_lines, clean_text
from ceus_models.runtime.language.terminal import Terminal

_SEND = """Send this file to the maintainers of fedceus, as an issue of its repository; tell your coordinator too.
Add the command without names and paths, and whether it fails again. This file holds no value of a table, no path and no
name of a patient. Send no clip, table, key or audit.
"""
_NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)
INTERRUPTED = 130
"""typer returns this value after Ctrl-C."""


def run_cli(app: typer.Typer | click.Command) -> None:
    """Run a command line and leave the process with the exit code that fits."""
    sys.exit(run_app(app))


def run_app(app: typer.Typer | click.Command, arguments: list[str] | None = None) -> int:
    """Run a command line; the exit code, after the reason was told on stderr."""
    console = Terminal(stderr=True, soft_wrap=True, highlight=True)
    try:
        command = typer.main.get_command(app) if isinstance(app, typer.Typer) else app
        result = command.main(args=arguments, standalone_mode=False)
        if result == INTERRUPTED:
            return _report_interrupt(console)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _report_interrupt(console)
    except ExpectedError as error:
        console.print(f"[red]Error:[/] {escape(clean_lines(str(error)))}")
        return 1
    except Exception as error:
        if is_disk_full(error):
            place = clean_text(str(getattr(error, "filename", None) or "the folder that it writes to"))
            console.print(f"[red]Error:[/] the disk is full: {escape(place)}; make room, then run this again")
            return 1
        if isinstance(error, OSError) and error.errno in _NO_RIGHT and error.filename is not None:
            place, why = clean_text(str(error.filename)), error.strerror
            console.print(f"[red]Error:[/] {escape(place)} cannot be used ({why}); give this user the right to it")
            return 1
        console.print(
            f"[red]This is a bug:[/] {type(error).__name__}. Please report it with the log {_write_bug_log(error)}"
        )
        return 3


def _report_interrupt(console: Terminal) -> int:
    console.print("Interrupted; the same command goes on from here.")
    return INTERRUPTED


def _write_bug_log(error: BaseException) -> Path:
    """What happened, where, with which versions. An exception's text stays out: it may quote a file or a patient."""
    versions = [f"{name} {version(name)}" for name in ("fedceus", "flwr", "torch")]
    versions += [f"Python {platform.python_version()}", platform.platform()]
    with tempfile.NamedTemporaryFile("w", prefix="ceus-bug-", suffix=".log", delete=False) as log:
        log.write("\n".join((type(error).__name__, *list_calls(error), "", *versions, "", _SEND)))
    return Path(log.name)
