"""Findings of checks, with the fix of each fault, as text or JSON."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import typer
from rich.cells import set_cell_size

from ceus_models.runtime.errors import ExpectedError, Fault, FaultList, list_calls
from ceus_models.runtime.humanize import clean_lines
from ceus_models.runtime.language.reader_language import translate

State = Literal["ok", "note", "fault"]
_MARKS = {"ok": ("ok", "green"), "note": ("note", "yellow"), "fault": ("FAULT", "red")}
_MARK_CELLS = 5


@dataclass(frozen=True)
class Finding:
    """One result of a check; a note needs no action, and `remedy` is "" for ok."""

    name: str
    state: State
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        """The finding and the fix."""
        return f"{self.found}; {self.remedy}" if self.remedy else self.found


def name_folder(finding: Finding, folder: Path) -> Finding:
    """The finding with this folder in place of FOLDER, so that its commands can be copied."""
    named = re.sub(r"\bFOLDER\b", lambda _: shlex.quote(str(folder)), finding.remedy)
    return replace(finding, remedy=named)


def split_commands(remedy: str) -> list[tuple[str, bool]]:
    """The parts of a remedy, and whether each is a command, which stands in `backticks` and has an argument.

    >>> split_commands("run `ceus-site index /data` again; see `policy.yaml`")
    [('run', False), ('ceus-site index /data', True), ('again; see policy.yaml', False)]
    """
    pieces = re.split(r"`(\S+ [^`]+)`", remedy)
    parts = [(piece.replace("`", "").strip(" ,;:"), number % 2 == 1) for number, piece in enumerate(pieces)]
    return [part for part in parts if part[0]]


Check = tuple[str, Callable[[], Finding | Iterable[Finding]]]
"""The name of a check, and its function."""


def make_ok(name: str, found: str) -> Finding:
    """A finding without a fault."""
    return Finding(name, "ok", found)


def make_note(name: str, found: str, remedy: str) -> Finding:
    """A finding that works and could be better."""
    return Finding(name, "note", found, remedy)


def make_fault(name: str, found: str, remedy: str) -> Finding:
    """A finding that does not work."""
    return Finding(name, "fault", found, remedy)


def convert_fault(found: Fault) -> Finding:
    """The finding of a file's fault."""
    said = f"{found.rule}, found {found.value}" if found.value else found.rule
    return make_fault(found.place, said, found.remedy)


def run_checks(checks: Iterable[Check]) -> Iterator[Finding]:
    """Run checks and yield each finding. An expected error is a fault with its text, another one with its place.

    A check that fails for the reason of one before it is a note: one fault is fixed once.
    """
    seen: set[str] = set()
    for name, check in checks:
        try:
            found = check()
            yield from [found] if isinstance(found, Finding) else found
        except ExpectedError as error:
            if str(error) in seen:
                yield make_note(name, "not checked, for the reason above", "mend that first")
            else:
                yield from _faults(name, error)
            seen.add(str(error))
        except Exception as error:
            where = f"{type(error).__name__} at {list_calls(error)[-1]}"
            yield make_fault(name, f"the check itself failed: {where}", "report it, with this line")


def _faults(name: str, error: ExpectedError) -> Iterator[Finding]:
    if isinstance(error, FaultList):
        yield from (
            make_fault(name, f"{one.name}: {one.found}", one.remedy) for one in map(convert_fault, error.faults)
        )
    else:
        words, _, remedy = str(error).partition("; ")
        yield make_fault(name, words, remedy)


def print_findings(findings: Iterable[Finding], as_machine: bool = False, err: bool = False) -> int:
    """Print findings as they come, to a person in the language of this context.

    Args:
        findings: to print.
        as_machine: print one JSON object at the end instead.
        err: print on standard error.

    Returns:
        The exit code: 1 with a fault, else 0.
    """
    found = []
    for finding in findings:
        found.append(finding)
        if not as_machine:
            typer.echo(_format_finding(finding), err=err)
    well = all(finding.state != "fault" for finding in found)
    if as_machine:
        typer.echo(
            json.dumps({"ok": well, "findings": list(map(asdict, found))}, indent=2, ensure_ascii=False), err=err
        )
    return 0 if well else 1


def _format_finding(finding: Finding) -> str:
    """In the reader's language."""
    word, colour = _MARKS[finding.state]
    mark = set_cell_size(translate(word), _MARK_CELLS)
    remedy = "".join(map(_format_part, split_commands(translate(clean_lines(finding.remedy)))))
    found = f"{translate(clean_lines(finding.name))}: {translate(clean_lines(finding.found))}"
    return f"{typer.style(mark, fg=colour)} {found}{remedy}"


def _format_part(part: tuple[str, bool]) -> str:
    text, is_command = part
    return f"\n{text}" if is_command else f"\n      → {text}"
