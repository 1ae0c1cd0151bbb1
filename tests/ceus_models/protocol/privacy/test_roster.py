"""A roster is written in one way, and its digest is of all of it."""

from __future__ import annotations

import pytest

from ceus_models.protocol.privacy.roster import Roster, parse_roster

ROSTER = Roster("study:0000", 2, {"b": "1" * 64, "a": "0" * 64})


def test_the_order_of_sites_does_not_matter():
    assert ROSTER.digest() == Roster("study:0000", 2, {"a": "0" * 64, "b": "1" * 64}).digest()
    assert parse_roster(ROSTER.to_text()) == ROSTER


@pytest.mark.parametrize(
    "other",
    [
        Roster("other", 2, ROSTER.sites),
        Roster("study:0000", 3, ROSTER.sites),
        Roster("study:0000", 2, {"a": "0" * 64}),
        Roster("study:0000", 2, {"a": "0" * 64, "b": "2" * 64}),
    ],
)
def test_every_part_is_in_the_digest(other):
    assert other.digest() != ROSTER.digest()


@pytest.mark.parametrize("text", ["", "{}", "[1]", ROSTER.to_text()[:-1], ROSTER.to_text().replace("1" * 64, "x")])
def test_what_is_no_roster(text):
    with pytest.raises(ValueError, match="expected a roster"):
        parse_roster(text)


def test_a_roster_that_a_terminal_would_obey_is_refused() -> None:
    for odd in (Roster("study\x1b[2J:1", 1, {"a": "0" * 64}), Roster("study:1", 1, {"a\x1b[1A": "0" * 64})):
        with pytest.raises(ValueError, match="control characters"):
            parse_roster(odd.to_text())
