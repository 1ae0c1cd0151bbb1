"""The run's roster: absent in a simulation, and the measure of what sites say in hello."""

from __future__ import annotations

import pytest

from ceus_models.protocol.privacy.roster import Roster
from ceus_models.runtime.errors import ExpectedError
from server.rounds.roster_file import ROSTER_FILE, find_roster_faults, read_roster

ROSTER = Roster("study", 1, {"site-01": "0" * 64, "site-02": "1" * 64})


def test_no_file_is_no_roster(tmp_path):
    assert read_roster(tmp_path) == ""
    assert find_roster_faults({"site-01": "5" * 64}, "") == {}


def test_a_file_is_read_whole(tmp_path):
    (tmp_path / ROSTER_FILE).write_text(ROSTER.to_text())
    assert read_roster(tmp_path) == ROSTER.to_text()
    (tmp_path / ROSTER_FILE).write_text(ROSTER.to_text()[:-3])
    with pytest.raises(ExpectedError, match="run `ceus-coordinator roster` again"):
        read_roster(tmp_path)


def test_a_key_that_is_not_enrolled_is_told():
    keys = {"site-01": "0" * 64, "site-02": "2" * 64, "site-03": "3" * 64}
    assert set(find_roster_faults(keys, ROSTER.to_text())) == {"site-02", "site-03"}
