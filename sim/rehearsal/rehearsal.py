"""The walk of a coordinator and its hospitals, from nothing to the report."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from ceus_models.plan.plan import load_plan
from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from ceus_models.runtime.errors import ExpectedError
from client.courier.folder import socket_of, state_socket
from client.policy.policy_file import POLICY_FILE
from client.worker.unix_socket import check_path
from server.operations.daemon import find_nginx
from sim.engine.free_ports import find_free_ports
from sim.hospital.paperwork import PolicyKind
from sim.hospital.prepare import HOSPITALS, format_site_name, order_hospitals, parse_simulation
from sim.rehearsal.terminal import Command, Terminal

STUDY, LOGS = "study", "logs"
COORDINATOR, SITE, SIM = "ceus-coordinator", "ceus-site", "ceus-sim"
PERSON = "rehearsal"
BECAUSE = "A rehearsal with phantom hospitals: no patient is behind any of these lesions."


@dataclass(frozen=True)
class Rehearsal:
    """What is rehearsed, below the new folder `out`."""

    plan: Path
    out: Path
    seed: int
    policy: PolicyKind

    @property
    def study(self) -> Path:
        """The coordinator's folder."""
        return self.out / STUDY


def check_ready(rehearsal: Rehearsal) -> list[Path]:
    """The folders of the hospitals to come.

    Raises:
        ExpectedError: the plan, the folder or this machine does not fit.
    """
    simulation = parse_simulation(load_plan(rehearsal.plan).simulation)
    orders = order_hospitals(simulation, rehearsal.seed, rehearsal.out)
    if find_nginx() is None:
        raise ExpectedError(
            "expected nginx, the front door of a federation, found none on this machine; install it (Debian: "
            "apt-get install nginx-light)"
        )
    if rehearsal.out.exists() and any(rehearsal.out.iterdir()):
        raise ExpectedError(f"expected a new folder, {rehearsal.out} holds files; delete it, or give another --out")
    names = sorted(format_site_name(order.cases[0].center) for order in orders)
    folders = [rehearsal.out / HOSPITALS / name for name in names]
    for folder in folders:
        check_path(state_socket(socket_of(folder)))
    return folders


def rehearse(rehearsal: Rehearsal, folders: Sequence[Path], terminal: Terminal) -> str:
    """From nothing to the report; what was started goes on until the terminal's fleet is stopped.

    Returns:
        Where the report is.
    """
    _write_hospitals(rehearsal, terminal)
    identity = _found(rehearsal, folders, terminal)
    for folder in folders:
        _ask_to_join(folder, identity, terminal)
    sent = _enrol(rehearsal, folders, terminal)
    _start_coordinator(rehearsal, terminal)
    _take_part(rehearsal, folders, sent, terminal)
    _open_consoles(rehearsal, folders[0], terminal)
    said = terminal.run("asks the hospitals, stage by stage", COORDINATOR, "run", rehearsal.study, shown=True)
    return _read_told("done; report: (.+)", said)


def stay_open() -> None:
    """Wait for Ctrl-C."""
    with suppress(KeyboardInterrupt):
        Event().wait()


def _write_hospitals(rehearsal: Rehearsal, terminal: Terminal) -> None:
    options = ("--out", rehearsal.out, "--policy", rehearsal.policy, "--seed", rehearsal.seed)
    terminal.run("phantom hospitals, as folders with clips and tables", SIM, "hospital", rehearsal.plan, *options)


def _found(rehearsal: Rehearsal, folders: Sequence[Path], terminal: Terminal) -> str:
    """Make the federation; its id."""
    front, superlink = find_free_ports(2)
    settings = {
        "name": "rehearsal",
        "address": f"localhost:{front}",
        "sites": f"[{', '.join(folder.name for folder in folders)}]",
        "superlink_port": superlink,
        "seed": rehearsal.seed,
    }
    options = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    said = terminal.run(
        "the federation: CA, certificates, bundle",
        COORDINATOR,
        "init",
        rehearsal.study,
        *options,
        "--plan",
        rehearsal.plan,
    )
    return _read_told("federation: (.+)", said)


def _ask_to_join(folder: Path, identity: str, terminal: Terminal) -> None:
    terminal.run(f"{folder.name}: finds faults before anything is read", SITE, "check", folder)
    meaning = f"{folder.name}: makes its keys, and a request to send to the coordinator"
    terminal.run(meaning, SITE, "keys", folder, "--federation", identity)


def _enrol(rehearsal: Rehearsal, folders: Sequence[Path], terminal: Terminal) -> dict[str, tuple[str, str]]:
    """Let all hospitals in; what each is sent: a kit and the bundle."""
    requests = [folder / "courier" / "request.json" for folder in folders]
    said = terminal.run("lets the hospitals in", COORDINATOR, "enrol", rehearsal.study, *requests, "--yes")
    bundle = _read_told("send the bundle .*with the kits: (.+)", said)
    return {folder.name: (_read_told(f"enrolled {folder.name}: send it (.+)", said), bundle) for folder in folders}


def _start_coordinator(rehearsal: Rehearsal, terminal: Terminal) -> None:
    meaning = "SuperLink, SuperExec and the front door"
    terminal.wait_for('"ready"', terminal.start(meaning, COORDINATOR, "up", rehearsal.study, "--front-door"))


def _take_part(
    rehearsal: Rehearsal, folders: Sequence[Path], sent: dict[str, tuple[str, str]], terminal: Terminal
) -> None:
    if rehearsal.policy == "safe":
        allow_few_sites(folders, terminal)
    services: list[Command] = []
    for folder in folders:
        meaning = f"{folder.name}: verifies its kit, and approves the study"
        terminal.run(meaning, SITE, "join", folder, *sent[folder.name], "--yes")
        terminal.run(f"{folder.name}: reads every lesion", SITE, "index", folder)
        services.append(terminal.start(f"{folder.name}: takes part", SITE, "serve", folder))
    for service in services:
        terminal.wait_for('"serving"', service)


def allow_few_sites(folders: Sequence[Path], terminal: Terminal) -> None:
    """Say in each policy.yaml what the hospital allows, beyond what it comes with: a sum of so few hospitals."""
    wanted = {
        r"^  minimum_sites: \d+": f"  minimum_sites: {len(folders)}",
        r"^# accept_risk: .*$": f"accept_risk: {json.dumps(BECAUSE)}",
    }
    changed: dict[str, None] = {}
    for folder in folders:
        path = folder / POLICY_FILE
        text = path.read_text(encoding="utf-8")
        for old, new in wanted.items():
            text, count = re.subn(old, new, text, flags=re.MULTILINE)
            changed |= dict.fromkeys([new.strip()] * count)
        write_atomically(path, text.encode(), PUBLIC)
    terminal.note(f"in {POLICY_FILE} of each hospital, by an editor", list(changed))


def _open_consoles(rehearsal: Rehearsal, site: Path, terminal: Terminal) -> None:
    """Show where both kinds of console are."""
    people = ("people", rehearsal.study, "add", PERSON, "--role", "coordinator")
    token = terminal.run("somebody who may look on", COORDINATOR, *people).rsplit(maxsplit=1)[-1]
    mine = terminal.start("the coordinator's console", COORDINATOR, "console", rehearsal.study, "--port", 0)
    theirs = terminal.start(f"{site.name}'s console; the others' alike", SITE, "console", site, "--port", 0)
    url = json.loads(terminal.wait_for('"serving"', mine))["url"]
    link = terminal.wait_for("open http", theirs).removeprefix("open ")
    terminal.note("the consoles, in a browser", [f"{url} with name {PERSON} and token {token}", f"{link} (once)"])


def _read_told(pattern: str, said: str) -> str:
    """What a command said there, as a person reads it. Raises LookupError."""
    found = re.search(f"(?m)^{pattern}$", said)
    if found is None:
        raise LookupError(pattern)
    return found[1]
