"""The roster holds every enrolled site with its key, and grows in number only when it changes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ceus_models.runtime.errors import ExpectedError
from server.federation.roster import write_roster
from server.federation.site_register import Register, SiteKey
from server.rounds.roster_file import read_roster

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def entry(number: int, key: str | None = None, standing: str = "enrolled") -> SiteKey:
    return SiteKey(
        site=f"site-{number:02d}",
        public_key="key",
        fingerprint=f"{number}{key}{standing}",
        nonce="0" * 64,
        enrolled=NOW,
        expires=NOW,
        kit=1,
        standing=standing,  # type: ignore[arg-type]
        sums_key=f"{number:064x}" if key is None else key,
    )


def test_the_same_sites_are_the_same_roster(tmp_path):
    register = Register(tuple(map(entry, (1, 2, 3))))
    first = write_roster(tmp_path, "study", register)
    assert dict(first.sites) == {f"site-{n:02d}": f"{n:064x}" for n in (1, 2, 3)}
    assert write_roster(tmp_path, "study", register) == first
    assert read_roster(tmp_path) == first.to_text()
    register.add(entry(4))
    second = write_roster(tmp_path, "study", register)
    assert (first.number, second.number) == (1, 2)


def test_only_enrolled_sites_with_a_key(tmp_path):
    entries = (entry(1), entry(2), entry(3), entry(4, ""), entry(5, standing="revoked"), entry(1, "a" * 64, "replaced"))
    assert set(write_roster(tmp_path, "study", Register(entries)).sites) == {"site-01", "site-02", "site-03"}


def test_two_sites_are_none(tmp_path):
    with pytest.raises(ExpectedError, match="a roster needs 3 enrolled sites"):
        write_roster(tmp_path, "study", Register((entry(1), entry(2), entry(3, ""))))
