"""`ceus-coordinator notices`: who is told what by e-mail and webhooks, and whether it arrives."""

from __future__ import annotations

import time
from collections.abc import Iterator

import typer
from rich.table import Table

from ceus_models.pki.enrolment import utc_now
from ceus_models.runtime.findings import Finding, make_fault, make_ok, print_findings
from server.cli.status import Folder, output
from server.federation.expiry import summarize_validity
from server.federation.federation_file import load_federation
from server.federation.site_register import read_register
from server.notices.delivery import DeliveryError, deliver, list_ways
from server.notices.kinds import KINDS
from server.notices.message import compose_test
from server.notices.notices_file import Notices, load_notices, write_example
from server.notices.outbox import read_outbox
from server.run_folder.paths import Home

app = typer.Typer(name="notices", help="Who is told what, by e-mail and webhooks.", no_args_is_help=True)


@app.callback()
def notices_of(context: typer.Context, folder: Folder) -> None:
    """Who is told what, by e-mail and webhooks."""
    context.obj = Home(folder.resolve())


@app.command("example")
def example_command(context: typer.Context) -> None:
    """Write FOLDER/notices.yaml, to be filled. Nothing is overwritten."""
    write_example(context.obj)
    output().print(f"made {context.obj.notices}; fill it, then check and test it", soft_wrap=True)


@app.command("check")
def check_command(context: typer.Context) -> None:
    """Tell every fault of notices.yaml, who is told what, and what has not arrived. Nothing is sent."""
    notices, out = load_notices(context.obj), output()
    table = Table("name", "role", "by", "kinds")
    for person in notices.people:
        kinds = ", ".join(kind for kind in KINDS if person.wants(kind))
        table.add_row(person.name, person.role, ", ".join(list_ways(person)), kinds)
    out.print(table)
    undelivered = read_outbox(context.obj).list_undelivered()
    for line in undelivered:
        out.print(line, soft_wrap=True, markup=False)
    raise typer.Exit(1 if undelivered else 0)


@app.command("test")
def test_command(context: typer.Context) -> None:
    """Send a test message to everybody, and say what the servers answered. Exit 1 where one did not take it."""
    home: Home = context.obj
    notices, federation = load_notices(home), load_federation(home.federation)
    identity = summarize_validity(home, federation, read_register(home), utc_now()).identity
    raise typer.Exit(print_findings(_send_tests(home, notices, identity)))


def _send_tests(home: Home, notices: Notices, identity: str) -> Iterator[Finding]:
    for person in notices.people:
        message = compose_test(identity, time.time(), person.name)
        for way in list_ways(person):
            name = f"{person.name}, {way}"
            try:
                deliver(home, notices, person, way, message)
                yield make_ok(name, "the server took the message; look whether it arrived")
            except DeliveryError as error:
                yield make_fault(name, str(error), "correct notices.yaml, or what it names")
