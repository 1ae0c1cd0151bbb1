"""Participation is stored in bits and read back as it was; what a round adds to a checkpoint does not hold names."""

from __future__ import annotations

import json

import pytest
from pydantic import TypeAdapter, ValidationError

from ceus_models.plan.terms.participation import RoundRecord
from server.rounds.saving.participation_table import Participation

TABLE = TypeAdapter(Participation)
SITES = tuple(f"site-{number:04d}" for number in range(1000))


def _record(number: int) -> RoundRecord:
    asked = SITES[number % 7 :: 7]
    lost = {asked[1]: "no route", asked[2]: "no route"}
    answered = tuple(site for site in asked if site not in lost)
    return RoundRecord(
        "train", "train", number, SITES, asked, answered, answered[1:], answered[:1], lost=lost, norms={"n": 0.5}
    )


def test_records_come_back_as_they_were() -> None:
    records = (RoundRecord("hello", "hello", 0), *map(_record, range(9)))
    text = TABLE.dump_json(records)
    found = TABLE.validate_json(text)
    assert found == records
    assert TABLE.validate_json(TABLE.dump_json(())) == ()
    assert found[1].registered is not None
    assert text.count(b"site-0500") == 1


def test_a_round_more_takes_bits_and_not_names() -> None:
    sizes = [len(TABLE.dump_json(tuple(map(_record, range(count))))) for count in (10, 11)]
    assert sizes[1] - sizes[0] < len(SITES) * 2
    assert len(json.dumps(SITES)) * 4 > 40 * (sizes[1] - sizes[0])


def test_bits_of_sites_that_are_not_there_are_refused() -> None:
    packed = json.loads(TABLE.dump_json((_record(1),)))
    packed["rounds"][0]["asked"] = f"{1 << len(SITES):x}"
    with pytest.raises(ValidationError, match="expected bits of 1000 sites"):
        TABLE.validate_json(json.dumps(packed))
