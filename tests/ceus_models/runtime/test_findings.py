"""What was found, in one form for every command."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ceus_models.runtime.errors import ExpectedError, Fault, FaultList
from ceus_models.runtime.findings import Finding, as_finding, fault, note, ok, print_findings, run_checks


def broken() -> Finding:
    raise ValueError("patient 12345 in /data/secret.csv")


def expected() -> Finding:
    raise ExpectedError("the kit is missing; run `ceus-site join`")


def faulty() -> Finding:
    raise FaultList([Fault("a.yaml", 3, "rate", "bad-file", "a number", '"x"', "correct it")])


def several() -> Iterator[Finding]:
    yield ok("c", "well")
    raise ExpectedError("one more")


def test_a_check_that_fails_is_a_fault_and_the_others_go_on() -> None:
    checks = [("a", expected), ("b", broken), ("c", several), ("d", faulty), ("e", lambda: ok("e", "f"))]
    found = list(run_checks(checks))
    assert found[0] == fault("a", "the kit is missing", "run `ceus-site join`")
    assert found[1].found.startswith("the check itself failed: ValueError at test_findings.py:")
    assert found[2:4] == [ok("c", "well"), fault("c", "one more", "")]
    assert found[4] == fault("d", 'a.yaml line 3, rate: a number, found "x"', "correct it")
    assert found[5].state == "ok"
    twice = list(run_checks([("a", expected), ("b", expected)]))
    assert [one.state for one in twice] == ["fault", "note"]
    assert "12345" not in str(found)


def test_a_person_reads_lines_and_a_machine_one_object(capfd: pytest.CaptureFixture[str]) -> None:
    findings = [ok("disk", "30 GB"), note("clock", "4 min off", "set it")]
    assert print_findings(findings) == 0
    assert capfd.readouterr().out == "ok    disk: 30 GB\nnote  clock: 4 min off\n      → set it\n"
    findings.append(as_finding(Fault("lesions.csv", 2, "clips", "no-clip", "a clip exists", "", "export it")))
    assert print_findings(findings, as_machine=True) == 1
    found = json.loads(capfd.readouterr().out)
    assert not found["ok"]
    assert found["findings"][2] == {
        "name": "lesions.csv row 2, clips",
        "state": "fault",
        "found": "a clip exists",
        "remedy": "export it",
    }
