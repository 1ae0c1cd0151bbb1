"""`ceus-coordinator` console · people: the console, and who may sign in to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ceus_models.pki.enrolment import utc_now
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.supervisor import log_event
from ceus_models.web.guard import LOOPBACK
from ceus_models.web.serve import listening, serve, url_of
from server.cli.status import Folder
from server.console.app import build_console
from server.console.users import Role, add_person, read_people, remove_person
from server.federation.federation_file import load_federation
from server.federation.former_layout import open_home

people_app = typer.Typer(name="people", help="Who may sign in to the console, and as what.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Letters, digits and hyphens.", show_default=False)]


def console_command(
    folder: Folder,
    host: Annotated[str, typer.Option(help="Where it listens; other than loopback needs a certificate.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8090,
    certificate: Annotated[Path | None, typer.Option(help="The chain of a TLS certificate, PEM.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its key, PEM.")] = None,
) -> None:
    """Show the federation in a browser, read-only, to the people who were added. One JSON line a page that is read."""
    home = open_home(folder)
    federation = load_federation(home.federation)
    if (certificate is None) != (key is None):
        raise ExpectedError("--certificate and --key go together: give both, or none on loopback")
    if host not in LOOPBACK and certificate is None:
        raise ExpectedError(
            f"tokens must not cross a network in the clear: give --certificate and --key, or leave --host at "
            f"{LOOPBACK[0]} and reach it through ssh, or through a reverse proxy with TLS on this machine"
        )
    if not read_people(home):
        raise ExpectedError(f"nobody may sign in yet: run `ceus-coordinator people {folder} add NAME --role ROLE`")
    with listening(host, port) as opened:
        log_event({"event": "serving", "url": url_of(opened, certificate is not None)})
        serve(build_console(home, federation, log_event), opened, certificate, key)


@people_app.callback()
def people_of(context: typer.Context, folder: Folder) -> None:
    """Who may sign in to the console, and as what."""
    home = open_home(folder)
    load_federation(home.federation)
    context.obj = home


@people_app.command("add")
def add_command(
    context: typer.Context,
    name: Name,
    role: Annotated[
        Role,
        typer.Option(
            help="researcher: overview, rounds, report · coordinator: everything · monitor: /metrics and /healthz."
        ),
    ],
) -> None:
    """Make a token, which is told now and never again; only a salted hash of it is kept."""
    token = add_person(context.obj, name, role, utc_now())
    typer.echo(f"{name}, {role}; token, told once: {token}")


@people_app.command("remove")
def remove_command(context: typer.Context, name: Name) -> None:
    """Let somebody in no longer, from the next page on."""
    remove_person(context.obj, name)
    typer.echo(f"{name} is let in no longer")


@people_app.command("list")
def list_command(context: typer.Context) -> None:
    """Show all, with their roles."""
    table = Table("name", "role", "since")
    for person in read_people(context.obj):
        table.add_row(person.name, person.role, f"{person.added:%Y-%m-%d}")
    Console().print(table)
