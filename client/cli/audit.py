"""`ceus-site audit verify | show | software | export`: what this site was asked, what left it, and what it runs."""

from __future__ import annotations

import collections
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from ceus_models.protocol.installed_package import list_distributions
from ceus_models.protocol.software import read_software
from ceus_models.runtime.atomic_files import write_atomically
from ceus_models.runtime.csv_cells import format_csv
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.language.terminal import Terminal, say
from client.data.forms.site_config import load_site
from client.worker.audit.log import Entry, entries
from client.worker.audit.summary import in_words
from client.worker.audit.verify import Verdict, verify

app = typer.Typer(name="audit", help="The record of all that this site was asked and answered.", no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(help="The site's folder, with site.yaml in it.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, for a machine.")]
_SHOWN = ("n", "at", "kind", "study", "stage", "round", "asked", "bytes", "weight")
_COLUMNS = (*_SHOWN, "task", "digest", "code", "reason", "privacy", "spent", "hash")


@app.command("verify")
def verify_command(folder: Folder, as_machine: AsJson = False) -> None:
    """Walk the whole chain; tell every line that was changed, removed, added or put out of order."""
    verdict = _verdict(load_site(folder).records)
    if as_machine:
        typer.echo(json.dumps(_as_json(verdict), indent=2))
    else:
        _print_verdict(verdict)
    raise typer.Exit(0 if verdict.ok else 1)


@app.command("show")
def show_command(
    folder: Folder,
    last: Annotated[int, typer.Option(min=1, help="How many entries, the newest last.")] = 40,
    as_machine: AsJson = False,
) -> None:
    """What was asked, what left, when, how many bytes, and to which study and round."""
    records = load_site(folder).records
    shown = collections.deque(entries(records), last)
    if as_machine:
        for entry in shown:
            typer.echo(json.dumps(entry))
        return
    table = Table(*_SHOWN, "what")
    for entry in shown:
        table.add_row(*(escape(_cell(name, entry)) for name in _SHOWN), escape(in_words(entry)))
    out = Terminal()
    out.print(table)
    _print_verdict(_verdict(records))


@app.command("software")
def software_command(as_machine: AsJson = False) -> None:
    """Names and versions of all that is installed here; the site states their digest in hello and in its audit."""
    found = read_software()
    if as_machine:
        typer.echo(json.dumps({**asdict(found), "distributions": list_distributions()}, indent=2))
        return
    for line in list_distributions():
        typer.echo(line)
    say(f"{found.describe()}\nall installed: {found.installed}")


@app.command("export")
def export_command(
    folder: Folder,
    out: Annotated[Path, typer.Argument(help="A new file that ends in .csv or .json.", show_default=False)],
) -> None:
    """Write a copy of the audit, and what its verification found (for CSV: beside it, in OUT.verification.json)."""
    records = load_site(folder).records
    if out.suffix not in (".csv", ".json"):
        raise ExpectedError(f"a copy is a .csv or a .json file, not {out.suffix or 'one without an ending'}")
    verdict = _verdict(records)
    beside = json.dumps(_as_json(verdict), indent=2).encode()
    try:
        if out.suffix == ".json":
            copy = {"verification": _as_json(verdict), "entries": list(entries(records))}
            write_atomically(out, json.dumps(copy, indent=1).encode())
        else:
            write_atomically(out, _csv(entries(records)))
            write_atomically(out.with_name(f"{out.name}.verification.json"), beside)
    except OSError as error:
        raise ExpectedError(f"the copy cannot be written ({error.strerror}); choose another place") from None
    _print_verdict(verdict)
    raise typer.Exit(0 if verdict.ok else 1)


def _verdict(records: Path) -> Verdict:
    try:
        return verify(records)
    except OSError as error:
        raise ExpectedError(f"the audit cannot be read ({error.strerror}); run this as the worker's user") from None


def _as_json(verdict: Verdict) -> dict[str, Any]:
    return {"ok": verdict.ok, **asdict(verdict)}


def _print_verdict(verdict: Verdict) -> None:
    out = Terminal(soft_wrap=True)
    for finding in verdict.findings:
        out.print(f"[red]{escape(str(finding))}[/]")
    if verdict.interrupted:
        out.print("the last write was stopped in the middle; the next entry puts it right")
    state = "unchanged" if verdict.ok else f"[red]CHANGED[/], {len(verdict.findings)} findings"
    out.print(f"audit: {verdict.entries} entries, {state}; last hash {verdict.hash}")


def _cell(name: str, entry: Entry) -> str:
    value = str(entry.get(name, ""))
    return value[:12] if name == "study" else value


def _csv(copied: Iterator[Entry]) -> bytes:
    """UTF-8 with a byte order mark."""
    rows: list[Sequence[str]] = [(*_COLUMNS, "more")]
    for entry in copied:
        more = {name: value for name, value in entry.items() if name not in _COLUMNS}
        rows.append([*(str(entry.get(name, "")) for name in _COLUMNS), json.dumps(more) if more else ""])
    return format_csv(rows).encode("utf-8-sig")
