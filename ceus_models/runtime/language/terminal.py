"""The terminal, in the language of who reads it."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.text import Text

from ceus_models.runtime.language.reader_language import translate


class Terminal(Console):
    """Prints every text, also of a table's cells, in the reader's language."""

    def __init__(self, stderr: bool = False, soft_wrap: bool = False, highlight: bool = False) -> None:
        """Open it.

        Args:
            stderr: standard error in place of standard output.
            soft_wrap: leave it to the terminal to wrap lines.
            highlight: give numbers and paths colours of their own.
        """
        super().__init__(stderr=stderr, soft_wrap=soft_wrap, highlight=highlight)

    def render_str(self, text: str, **options: Any) -> Text:
        """The text with its markup."""
        return super().render_str(translate(text), **options)


def say(text: str, err: bool = False) -> None:
    """Print a line in the reader's language."""
    click.echo(translate(text), err=err)
