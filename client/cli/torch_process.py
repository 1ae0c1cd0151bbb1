"""`ceus-site predict | bundle | preflight` as the command line knows them: it becomes the process that runs them."""

from __future__ import annotations

import os
import sys

import typer

_AS_TYPED = {"ignore_unknown_options": True, "allow_extra_args": True}
_COMMANDS = {
    "predict": "Ask a trained model about lesions, and write each answer as a page (HTML, PDF) and as JSON.",
    "bundle": "Verify every byte of a model, and say what it is.",
    "preflight": "Look at all that a site needs: line, machine, data, and one lesion from file to trained net.",
}
"""Name → what the list of commands says."""


def add_commands(app: typer.Typer) -> None:
    """Put the commands into `ceus-site`. Their options, `--help` too, are read by the process that runs them."""
    for name, told in _COMMANDS.items():
        app.command(name, help=told, context_settings=_AS_TYPED, add_help_option=False)(_handed_over)


def command(name: str, arguments: list[str]) -> list[str]:
    """The command line of the process. -P: nothing is imported from the folder that it is started in."""
    return [sys.executable, "-P", "-m", "client.cli.torch_commands", name, *arguments]


def _handed_over(context: typer.Context) -> None:
    sys.stdout.flush()
    words = command(context.info_name or "", context.args)
    os.execv(words[0], words)
