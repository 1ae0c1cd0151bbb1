"""Commands that are imported when they are called: `--help` of a program loads none of their libraries."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import typer
from typer.core import TyperGroup

from ceus_models.runtime.commands.command_signature import FIRST_PARTY, load_signature, parse_module
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.language.terminal import say

NextStep = Callable[[str, Path | None], str]
"""(command, its folder) → what follows it, "" for nothing."""
_FOR_MACHINES = ("as_machine", "as_gauges")
"""Options under which a command says nothing but what a machine reads."""
_HELP = "--help"


class LazyCommand(click.Command):
    """A command, or a group of commands, that is known by the place of its code."""

    def __init__(self, name: str, place: str, extra: str, next_step: str = "", option: str = "") -> None:
        """Import nothing.

        Args:
            name: of the command.
            place: "module:name" of a function with typer's options, or of a typer application.
            extra: what `pip install 'fedceus[extra]'` installs the command's libraries with.
            next_step: "module:name" of a `NextStep`, "" for none.
            option: "module:name" of what makes one more option of the command, "" for none.
        """
        super().__init__(name)
        self._module, _, self._attribute = place.partition(":")
        self._extra, self._next_step, self._option = extra, next_step, option

    def load(self) -> click.Command:
        """The command itself.

        Raises:
            ExpectedError: a library is not installed.
        """
        try:
            found = getattr(import_module(self._module), self._attribute)
        except ModuleNotFoundError as error:
            library = str(error.name).partition(".")[0]
            if library in FIRST_PARTY:
                raise
            raise ExpectedError(
                f"expected the libraries of fedceus[{self._extra}] for `{self.name}`, but {library} is not installed; "
                f"run `pip install 'fedceus[{self._extra}]'`"
            ) from None
        command = self._build(found)
        if self._next_step:
            self._end_with_next(command)
        return command

    def load_help(self) -> click.Command:
        """The command with its options and no more: enough for its `--help`, and loaded at once."""
        return self._build(load_signature(self._module, self._attribute))

    def _build(self, found: Any) -> click.Command:
        app = typer.Typer()
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=self.name)
        else:
            app.command(self.name)(found)
        command = typer.main.get_group(app).commands[str(self.name)]
        if self._option:
            _add_option(command, _find(self._option))
        return command

    def _end_with_next(self, command: click.Command) -> None:
        """Have a command, or each of a group, end with the next one, unless a machine reads it."""
        if isinstance(command, click.Group):
            for one in command.commands.values():
                self._end_with_next(one)
            return
        call = command.callback
        assert call is not None

        def call_and_tell(*arguments: Any, **options: Any) -> Any:
            try:
                result = call(*arguments, **options)
            except click.exceptions.Exit as stop:
                if not stop.exit_code:
                    self._tell_next(options)
                raise
            self._tell_next(options)
            return result

        command.callback = call_and_tell

    def _tell_next(self, options: Mapping[str, Any]) -> None:
        if any(options.get(name) for name in _FOR_MACHINES):
            return
        describe: NextStep = _find(self._next_step)
        folders = [Path(found) for context in _list_contexts() if (found := context.params.get("folder"))]
        if said := describe(str(self.name), folders[0] if folders else None):
            say(f"next: {said}", err=True)

    def summary(self) -> str:
        """The function's docstring, or the application's help, read from the source without running it."""
        for node in parse_module(self._module).body:
            if isinstance(node, ast.FunctionDef) and node.name == self._attribute:
                return ast.get_docstring(node) or ""
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                words = {word.arg: word.value for word in node.value.keywords}
                if ast.unparse(node.targets[0]) == self._attribute:
                    return str(ast.literal_eval(words["help"]))
        raise LookupError(f"{self._module} has no {self._attribute}")


def _find(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)


def _add_option(command: click.Command, make: Callable[[], click.Parameter]) -> None:
    """To a command, or to each of a group."""
    if isinstance(command, click.Group):
        for one in command.commands.values():
            _add_option(one, make)
    else:
        command.params.append(make())


def _list_contexts() -> Iterator[click.Context]:
    context = click.get_current_context(silent=True)
    while context is not None:
        yield context
        context = context.parent


class LazyGroup(TyperGroup):
    """A program of lazy commands."""

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Give each command the line that the list shows."""
        for command in self.commands.values():
            if isinstance(command, LazyCommand):
                command.short_help = command.summary()
        super().format_help(ctx, formatter)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Import the command that is called; where only its help is asked for, only its options."""
        name, command, rest = super().resolve_command(ctx, args)
        if isinstance(command, LazyCommand):
            command = command.load_help() if _HELP in rest[: _find_end(rest)] else command.load()
        return name, command, rest


def _find_end(arguments: list[str]) -> int:
    """Where options end: what follows `--` is none."""
    return arguments.index("--") if "--" in arguments else len(arguments)


def lazy_program(
    name: str, summary: str, extra: str, places: Mapping[str, str], next_step: str = "", option: str = ""
) -> LazyGroup:
    """A program whose commands stand at these places.

    Args:
        name: of the program.
        summary: what its help says first.
        extra: of pyproject.toml, with the libraries of all its commands.
        places: command → "module:name" (`LazyCommand`).
        next_step: "module:name" of the `NextStep` that every command ends with.
        option: "module:name" of what makes an option that every command has.
    """
    commands: dict[str, click.Command] = {
        key: LazyCommand(key, place, extra, next_step, option) for key, place in places.items()
    }
    return LazyGroup(name=name, help=summary, commands=commands, no_args_is_help=True)
