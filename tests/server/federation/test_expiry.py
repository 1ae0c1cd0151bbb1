"""What `status` says of every certificate, and when it begins to warn."""

from __future__ import annotations

from pathlib import Path

from made_federation import DAY, NOW, Lab, lab

from server.federation.enrolment import revoke
from server.federation.expiry import Validity, summarize_validity
from server.federation.federation_file import load_federation
from server.federation.site_register import change_register, read_register


def at(made: Lab, days: int) -> Validity:
    return summarize_validity(
        made.home, load_federation(made.home.federation), read_register(made.home), NOW + days * DAY
    )


def test_all_is_well_until_thirty_days_before_the_end(tmp_path: Path) -> None:
    made = lab(tmp_path / "co")
    made.joined(tmp_path / "s")
    found = at(made, 334)
    assert found.warnings == ()
    assert {line.name: line.standing for line in found.sites} == {"site-01": "ok", "site-02": "absent"}
    assert [line.name for line in found.servers] == ["CA", "front door", "SuperLink"]
    due = at(made, 335)
    assert [line.standing for line in (due.servers[1], due.sites[0])] == ["soon", "soon"]
    assert due.sites[0].days_left == 30
    assert any("front door: soon; run `ceus-coordinator renew`" in line for line in due.warnings)
    assert any("site-01: soon; run `ceus-coordinator renew FOLDER site-01`" in line for line in due.warnings)
    assert due.as_json()["federation"] == made.identity


def test_after_the_end_it_says_expired_and_what_the_site_does(tmp_path: Path) -> None:
    made = lab(tmp_path / "co")
    made.joined(tmp_path / "s")
    line = at(made, 366).sites[0]
    assert (line.standing, line.days_left) == ("expired", -1)
    assert "ceus-site keys FOLDER --renew" in line.remedy


def test_revoked_and_unlisted_sites_are_shown(tmp_path: Path) -> None:
    made = lab(tmp_path / "co")
    for name in ("site-01", "site-02"):
        made.joined(tmp_path / name, name)
    with change_register(made.home) as register:
        revoke("site-01", "", register, NOW)
    made.home.federation.write_text(made.home.federation.read_text().replace(", site-02", ""))
    found = {line.name: line for line in at(made, 0).sites}
    assert {name: line.standing for name, line in found.items()} == {"site-01": "revoked", "site-02": "unlisted"}
    assert "add it there, or revoke it" in found["site-02"].remedy
    assert found["site-01"].fingerprint


def test_a_missing_certificate_is_shown(tmp_path: Path) -> None:
    made = lab(tmp_path)
    made.home.front.unlink()
    assert "front door: absent; run `ceus-coordinator init`" in at(made, 0).warnings
