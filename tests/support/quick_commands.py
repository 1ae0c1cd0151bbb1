"""The commands that a person waits for, in a federation of one site, and every `--help`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from ceus_models.runtime.lazy_commands import LazyCommand, LazyGroup
from client.cli.init import start_site
from tests.support.made_federation import FEDERATION, PLAN, lab

PROGRAMS = {"ceus-site": "client", "ceus-coordinator": "server", "ceus-sim": "sim"}


def list_quick(folder: Path) -> list[tuple[str, ...]]:
    """Program and arguments of each, in an order in which all succeed, once."""
    new, study, site = folder / "new", folder / "study", folder / "site-01"
    made = lab(study)
    made.joined(site)
    start_site(site)
    new.mkdir()
    (new / "federation.yaml").write_text(FEDERATION, encoding="utf-8")
    (new / "plan.yaml").write_text(PLAN, encoding="utf-8")
    return [
        ("ceus-site", "init", str(folder / "site-02")),
        ("ceus-site", "approve", str(site), str(made.home.bundle), "--yes"),
        ("ceus-site", "audit", "verify", str(site)),
        ("ceus-site", "audit", "show", str(site)),
        ("ceus-coordinator", "init", str(new)),
        ("ceus-coordinator", "status", str(study)),
    ]


def list_helps(app: LazyGroup) -> Iterator[list[str]]:
    """The words after the program that ask for the help of itself, of each command and of each below a command."""
    yield ["--help"]
    for name, lazy in app.commands.items():
        assert isinstance(lazy, LazyCommand)
        command = lazy.load_help()
        yield [name, "--help"]
        yield from ([name, below, "--help"] for below in getattr(command, "commands", ()))


def walk_commands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """A command and those below it, by name."""
    yield name, command
    for below, one in getattr(command, "commands", {}).items():
        yield from walk_commands(f"{name} {below}", one)
