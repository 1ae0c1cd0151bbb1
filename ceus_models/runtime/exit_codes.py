"""Exit codes of the three commands: 0 done, 1 expected error, 2 usage, 3 bug with a log file, 130 interrupted."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click
import typer
from rich.console import Console
from rich.markup import escape

from ceus_models.runtime.errors import ExpectedError, stack_of

INTERRUPTED = 130
"""typer returns this value after Ctrl-C."""


def run_cli(app: typer.Typer, name: str | None = None) -> None:
    """Run a typer application and exit with its exit code; `name` is the program's name in its help."""
    sys.exit(exit_code(app, name=name))


def exit_code(app: typer.Typer, arguments: list[str] | None = None, name: str | None = None) -> int:
    """Run a typer application, print the reason of a failure on stderr, and return the exit code."""
    console = Console(stderr=True, soft_wrap=True)
    try:
        result = typer.main.get_command(app).main(args=arguments, prog_name=name, standalone_mode=False)
        if result == INTERRUPTED:
            return _interrupted(console)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _interrupted(console)
    except ExpectedError as error:
        console.print(f"[red]Error:[/] {escape(str(error))}")
        return 1
    except Exception as error:
        console.print(f"[red]This is a bug:[/] {type(error).__name__}. Please report it with the log {_log(error)}")
        return 3


def _interrupted(console: Console) -> int:
    console.print("Interrupted; the same command goes on from here.")
    return INTERRUPTED


def _log(error: BaseException) -> Path:
    """Write the traceback without values."""
    with tempfile.NamedTemporaryFile("w", prefix="ceus-bug-", suffix=".log", delete=False) as log:
        log.write("\n".join([type(error).__name__, *stack_of(error)]) + "\n")
    return Path(log.name)
