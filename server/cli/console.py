"""`ceus-coordinator` console: the console of the federation, served to browsers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.supervisor import log_event
from ceus_models.web.guard import LOOPBACK
from ceus_models.web.serve import listening, serve, url_of
from server.cli.status import Folder
from server.console.app import build_console
from server.console.sign_in.gate import make_gate
from server.console.sign_in.users import read_people
from server.federation.federation_file import load_federation
from server.federation.former_layout import open_home
from server.notices.standing import list_notice_faults


def console_command(
    folder: Folder,
    host: Annotated[str, typer.Option(help="Where it listens; other than loopback needs a certificate.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8090,
    certificate: Annotated[Path | None, typer.Option(help="The chain of a TLS certificate, PEM.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its key, PEM.")] = None,
) -> None:
    """Show the federation in a browser to the people who may sign in. One JSON line a page that is read."""
    home = open_home(folder)
    federation = load_federation(home.federation)
    if (certificate is None) != (key is None):
        raise ExpectedError("--certificate and --key go together: give both, or none on loopback")
    if host not in LOOPBACK and certificate is None:
        raise ExpectedError(
            f"tokens must not cross a network in the clear: give --certificate and --key, or leave --host at "
            f"{LOOPBACK[0]} and reach it through ssh, or through a reverse proxy with TLS on this machine"
        )
    gate = make_gate(home, log_event)
    if not read_people(home) and gate.openid is None:
        raise ExpectedError(f"nobody may sign in yet: run `ceus-coordinator people {folder} add NAME --role ROLE`")
    with listening(host, port) as opened:
        log_event({"event": "serving", "url": url_of(opened, certificate is not None)})
        serve(build_console(home, federation, log_event, gate, list_notice_faults), opened, certificate, key)
