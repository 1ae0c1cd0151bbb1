"""Findings of checks, with the fix of each fault, as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Literal

import typer

from ceus_models.runtime.errors import ExpectedError, Fault, FaultList, stack_of

State = Literal["ok", "note", "fault"]
_MARKS = {"ok": ("ok   ", "green"), "note": ("note ", "yellow"), "fault": ("FAULT", "red")}


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


Check = tuple[str, Callable[[], Finding | Iterable[Finding]]]
"""The name of a check, and its function."""


def ok(name: str, found: str) -> Finding:
    """A finding without a fault."""
    return Finding(name, "ok", found)


def note(name: str, found: str, remedy: str) -> Finding:
    """A finding that works and could be better."""
    return Finding(name, "note", found, remedy)


def fault(name: str, found: str, remedy: str) -> Finding:
    """A finding that does not work."""
    return Finding(name, "fault", found, remedy)


def as_finding(found: Fault) -> Finding:
    """The finding of a file's fault."""
    value = f", found {found.value}" if found.value else ""
    return fault(found.place, f"{found.rule}{value}", found.remedy)


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
                yield note(name, "not checked, for the reason above", "mend that first")
            else:
                yield from _faults(name, error)
            seen.add(str(error))
        except Exception as error:
            where = f"{type(error).__name__} at {stack_of(error)[-1]}"
            yield fault(name, f"the check itself failed: {where}", "report it, with this line")


def _faults(name: str, error: ExpectedError) -> Iterator[Finding]:
    if isinstance(error, FaultList):
        yield from (fault(name, f"{one.name}: {one.found}", one.remedy) for one in map(as_finding, error.faults))
    else:
        words, _, remedy = str(error).partition("; ")
        yield fault(name, words, remedy)


def print_findings(findings: Iterable[Finding], as_machine: bool = False, err: bool = False) -> int:
    """Print findings as they come.

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
            mark, colour = _MARKS[finding.state]
            remedy = f"\n      → {finding.remedy}" if finding.remedy else ""
            typer.echo(f"{typer.style(mark, fg=colour)} {finding.name}: {finding.found}{remedy}", err=err)
    well = all(finding.state != "fault" for finding in found)
    if as_machine:
        typer.echo(
            json.dumps({"ok": well, "findings": list(map(asdict, found))}, indent=2, ensure_ascii=False), err=err
        )
    return 0 if well else 1
