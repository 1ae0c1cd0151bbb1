"""The commands that a person waits for, in a federation of one site, and every `--help`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from ceus_models.runtime.commands.lazy_commands import LazyCommand, LazyGroup
from ceus_models.runtime.process_tree import ProcessGroup
from tests.support.real_federation import ROOT, Federation, here

PROGRAMS = {"ceus-site": "client", "ceus-coordinator": "server", "ceus-sim": "sim"}
PLAN = ROOT / "configs" / "plan.demo.yaml"


def list_quick(folder: Path) -> list[tuple[str, ...]]:
    """Program and arguments of each, in an order in which all succeed, once."""
    new, study, site = folder / "new", folder / "study", folder / "site-01"
    here("ceus-site", "init", site)
    with ProcessGroup(folder) as fleet:
        made = Federation(study, {"site-01": site}, fleet, here)
        made.join_all(PLAN, 1)
    new.mkdir()
    for name in ("federation.yaml", "plan.yaml"):
        (new / name).write_bytes((study / name).read_bytes())
    return [
        ("ceus-site", "init", str(folder / "site-02")),
        ("ceus-site", "approve", str(site), str(made.of_study() / "bundle.fab"), "--yes"),
        ("ceus-site", "audit", "verify", str(site)),
        ("ceus-site", "audit", "show", str(site)),
        ("ceus-coordinator", "init", str(new)),
        ("ceus-coordinator", "status", str(study)),
        ("ceus-coordinator", "plan", str(PLAN)),
        ("ceus-coordinator", "study", "list", str(study)),
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
