"""`ceus-coordinator people`: who may sign in to the console, as what, and with which second factor."""

from __future__ import annotations

import time
from typing import Annotated

import segno
import typer
from rich.console import Console
from rich.table import Table

from ceus_models.pki.enrolment import utc_now
from ceus_models.runtime.errors import ExpectedError
from server.cli.status import Folder
from server.console.sign_in.second_factor import format_uri, has_factor, make_secret, remove_factor, set_factor
from server.console.sign_in.users import Role, add_person, read_people, remove_person
from server.federation.federation_file import load_federation
from server.federation.former_layout import open_home
from server.run_folder.action_log import log_action, read_actor
from server.run_folder.paths import Home

people_app = typer.Typer(name="people", help="Who may sign in to the console, and as what.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Letters, digits and hyphens.", show_default=False)]


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
            help="researcher: overview, rounds, report · coordinator: everything · monitor, for machines: /metrics, "
            "/healthz, /status.json."
        ),
    ],
) -> None:
    """Make a token, which is told now and never again; only a salted hash of it is kept."""
    with log_action(context.obj, read_actor(), "add person", name[:63], role):
        token = add_person(context.obj, name, role, utc_now())
    typer.echo(f"{name}, {role}; token, told once: {token}")


@people_app.command("remove")
def remove_command(context: typer.Context, name: Name) -> None:
    """Let somebody in no longer, from the next page on."""
    with log_action(context.obj, read_actor(), "remove person", name[:63]):
        remove_person(context.obj, name)
    typer.echo(f"{name} is let in no longer")


@people_app.command("list")
def list_command(context: typer.Context) -> None:
    """Show all, with their roles."""
    table = Table("name", "role", "since", "second factor")
    for person in read_people(context.obj):
        factor = "yes" if has_factor(context.obj, person.name) else ""
        table.add_row(person.name, person.role, f"{person.added:%Y-%m-%d}", factor)
    Console().print(table)


@people_app.command("totp")
def totp_command(
    context: typer.Context,
    name: Name,
    off: Annotated[bool, typer.Option("--off", help="Forget the second factor instead.")] = False,
) -> None:
    """Give somebody a second factor: a secret for an authenticator, as a QR code, told now and never again."""
    home: Home = context.obj
    person = next((one for one in read_people(home) if one.name == name), None)
    if person is None or person.role == "monitor":
        raise ExpectedError(f"a second factor is for a coordinator or researcher of `people list`, not for {name[:63]}")
    if off:
        with log_action(home, read_actor(), "end second factor", name):
            said = "needs no code any more" if remove_factor(home, name) else "had no second factor"
        typer.echo(f"{name} {said}")
        return
    secret = make_secret()
    uri = format_uri(secret, name, load_federation(home.federation).name)
    segno.make(uri).terminal(compact=True)
    typer.echo(f"{uri}\nRead it with an authenticator, or type the secret {secret} into one.")
    code = typer.prompt("The code that it shows now")
    with log_action(home, read_actor(), "second factor", name):
        set_factor(home, name, secret, code, time.time())
    typer.echo(f"{name} signs in with the token and a code from now on")
