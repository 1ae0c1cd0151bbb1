"""`actions.jsonl`: what was done to the federation, by whom; lines are only ever added.

A line is written before its action begins, so that a kill leaves none out; one that failed has a second line.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ceus_models.runtime.account import read_account
from ceus_models.runtime.atomic_files import PRIVATE, end_last_line
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import hold_lock
from server.run_folder.paths import Home

_LONGEST = 1000


@dataclass(frozen=True)
class Actor:
    """Who acts. way: the account that gave a command, or how somebody signed in to the console."""

    name: str
    way: str


class Action(BaseModel):
    """One line.

    Args:
        at: in seconds since 1970.
        who, way: as `Actor`.
        action: in one or two words.
        about: the site, study or person that it is about.
        said: further words, such as the reason of a revocation.
        fault: why it failed; "" where it begins.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    at: float
    who: str
    way: str
    action: str
    about: str = ""
    said: str = ""
    fault: str = ""


def read_actor() -> Actor:
    """The account that gives a command."""
    return Actor(read_account(), "command")


@contextmanager
def log_action(home: Home, actor: Actor, action: str, about: str = "", said: str = "") -> Iterator[None]:
    """Write an action down, which the block then does; where it fails, that too. Raises OSError."""
    line = Action(at=time.time(), who=actor.name, way=actor.way, action=action, about=about, said=said[:_LONGEST])
    _append(home, line)
    try:
        yield
    except Exception as error:
        fault = str(error) if isinstance(error, ExpectedError) else type(error).__name__
        _append(home, line.model_copy(update={"at": time.time(), "fault": fault[:_LONGEST]}))
        raise


def read_actions(home: Home) -> list[Action]:
    """All of them, oldest first; a line that is damaged is left out."""
    try:
        lines = home.actions.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    return [found for line in lines if (found := _parse(line))]


def _append(home: Home, line: Action) -> None:
    busy = ExpectedError("another command is writing into actions.jsonl; try again")
    with hold_lock(_lock_of(home), busy, mode=PRIVATE):
        end_last_line(home.actions)
        file = os.open(home.actions, os.O_WRONLY | os.O_APPEND | os.O_CREAT, PRIVATE)
        try:
            os.write(file, line.model_dump_json().encode() + b"\n")
            os.fsync(file)
        finally:
            os.close(file)


def _lock_of(home: Home) -> Path:
    return home.actions.with_name(".actions.lock")


def _parse(line: bytes) -> Action | None:
    try:
        return Action.model_validate_json(line)
    except ValidationError:
        return None
