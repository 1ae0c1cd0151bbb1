from __future__ import annotations

from ceus_models.runtime.errors import ExpectedError
from client.service.findings import Finding, looked, ok


def broken() -> Finding:
    raise ValueError("patient 12345 in /data/secret.csv")


def expected() -> Finding:
    raise ExpectedError("the kit is missing; run `ceus-site join`")


def test_a_look_that_fails_is_a_fault_and_the_others_go_on() -> None:
    found = list(looked([("a", expected), ("b", broken), ("c", lambda: ok("c", "well"))]))
    assert [finding.state for finding in found] == ["fault", "fault", "ok"]
    assert found[0].remedy == "the kit is missing; run `ceus-site join`"
    assert found[1].found == "the look itself failed (ValueError)"
    assert "12345" not in str(found)
