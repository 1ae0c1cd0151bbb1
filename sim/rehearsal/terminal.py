"""The terminal of a rehearsal: each command is shown with what it is for and how long it took, and run as a process."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.process_tree import ProcessGroup, read_last_line

_LOOK_S = 0.1


@dataclass(frozen=True)
class Command:
    """A command that was started. meaning: what it is for; name: of its log; line: as it is typed; begun: monotonic."""

    meaning: str
    name: str
    line: str
    begun: float

    def read_seconds(self) -> float:
        """How long it has run."""
        return time.monotonic() - self.begun


@dataclass
class Terminal:
    """Runs the programs of this installation.

    Args:
        fleet: has a log of each, and ends what still runs.
        out: where people read.
        patience_s: for the sign of a command that stays.
    """

    fleet: ProcessGroup
    out: Console
    patience_s: float = 900.0
    started: int = field(default=0, init=False)

    def run(self, meaning: str, program: str, *arguments: object, shown: bool = False) -> str:
        """Run a command to its end.

        Args:
            meaning: what it is for, in a few words.
            shown: whether its output is shown while it runs.

        Returns:
            Its output.

        Raises:
            ExpectedError: it failed.
        """
        command, seen = self._launch(meaning, program, arguments, stays=False), 0
        self.out.print("" if shown else " … ", end="\n" if shown else "")
        while (code := self.fleet.poll_exit_code(command.name)) is None:
            time.sleep(_LOOK_S)
            seen = self._show_new(command, seen) if shown else 0
        seen = self._show_new(command, seen) if shown else 0
        if code:
            raise self._describe(command, f"ended with exit code {code}")
        self.out.print(f"{'  ' * shown}{command.read_seconds():.1f} s")
        return self._read(command)

    def start(self, meaning: str, program: str, *arguments: object) -> Command:
        """Show a command that stays, and start it."""
        command = self._launch(meaning, program, arguments, stays=True)
        self.out.print()
        return command

    def wait_for(self, sign: str, command: Command) -> str:
        """Wait until a command that stays has said `sign`.

        Returns:
            The line with it.

        Raises:
            ExpectedError: it ended, or did not say it in time.
        """
        while not (found := [line for line in self._read(command).rpartition("\n")[0].splitlines() if sign in line]):
            if (code := self.fleet.poll_exit_code(command.name)) is not None:
                raise self._describe(command, f"ended with exit code {code}")
            if command.read_seconds() > self.patience_s:
                raise self._describe(command, f"was not ready within {self.patience_s:.0f} s")
            time.sleep(_LOOK_S)
        self.out.print(f"  {command.meaning}: ready after {command.read_seconds():.1f} s", markup=False, soft_wrap=True)
        return found[0]

    def note(self, title: str, lines: Sequence[str]) -> None:
        """Show what is done without a command, as in an editor."""
        self.out.print(f"# {title}", style="bold", markup=False, soft_wrap=True)
        for line in lines:
            self.out.print(f"  {line}", markup=False, soft_wrap=True)

    def _launch(self, meaning: str, program: str, arguments: Sequence[object], stays: bool) -> Command:
        self.started += 1
        words = [_find_program(program), *map(str, arguments)]
        line = shlex.join(words) + " &" * stays
        self.out.print(f"$ {line}", style="bold", markup=False, soft_wrap=True)
        self.out.print(f"  {meaning}", end="", markup=False, soft_wrap=True)
        command = Command(meaning, f"{self.started:02d}-{program}-{words[1]}", line, time.monotonic())
        # in English: what follows is taken from what they print
        self.fleet.start(command.name, words, {**os.environ, "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1"})
        return command

    def _show_new(self, command: Command, seen: int) -> int:
        """Show the whole lines after the first `seen` characters; how many have been shown."""
        text = self._read(command)
        end = text.rfind("\n") + 1
        for line in text[seen:end].splitlines():
            self.out.print(f"  | {line}", markup=False, soft_wrap=True)
        return max(seen, end)

    def _read(self, command: Command) -> str:
        return self.fleet.log_path(command.name).read_text(encoding="utf-8", errors="replace")

    def _describe(self, command: Command, what: str) -> ExpectedError:
        log = self.fleet.log_path(command.name)
        return ExpectedError(f"`{command.line}` {what}: {read_last_line(log)}; what it said is in {log}")


def _find_program(name: str) -> str:
    """A program of this installation, as one types it in this folder. Raises ExpectedError where it is missing."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise ExpectedError(f"expected {path}, it is missing; install fedceus[sim] here")
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
