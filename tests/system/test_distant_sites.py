"""52 sites of 20-fold different size through the coordinator's link: a round lasts as long as its slowest site.

In made-up time (`benchmarks.distant_sites`), so that every second here is exact.
"""

from __future__ import annotations

import pytest

from benchmarks.distant_sites import Walked, walk
from ceus_models.plan.terms.deadlines import Deadlines
from server.transport.delivery import RETRY_SCHEDULE
from tests.support.distant_grid import BACK_S, PER_LESION_S, sites_of

COUNT, ROUNDS, CARRIED = 52, 5, 5e7
SITES = {site.name: site for site in sites_of(COUNT)}


@pytest.fixture(scope="module")
def walked() -> Walked:
    return walk(COUNT, ROUNDS, CARRIED)


def met(walked: Walked, number: int, trouble: str) -> set[str]:
    return {site for round_, site, what in walked.troubles if (round_, what) == (f"distant/{number}", trouble)}


def test_sizes_differ_by_twenty_and_all_kinds_of_trouble_happen(walked: Walked) -> None:
    assert max(s.lesions for s in SITES.values()) == 20 * min(s.lesions for s in SITES.values())
    assert {what for _, _, what in walked.troubles} == {"restarts", "stays away", "hangs"}
    assert len(walked.records) == ROUNDS


def test_a_round_lasts_as_long_as_its_slowest_site(walked: Walked) -> None:
    for record, slowest in zip(walked.records, walked.slowest, strict=True):
        if not record.lost:
            assert slowest <= record.seconds <= slowest + RETRY_SCHEDULE.poll_s + RETRY_SCHEDULE.look_s
            assert slowest >= PER_LESION_S * max(site.lesions for site in SITES.values())
    assert any(not record.lost for record in walked.records)


def test_who_restarts_counts_and_who_stays_away_or_hangs_is_lost_by_name_within_its_deadline(walked: Walked) -> None:
    usual = max(site.seconds(CARRIED) for site in SITES.values())
    gone_before: set[str] = set()
    for number, record in enumerate(walked.records, 1):
        gone, hung = met(walked, number, "stays away"), met(walked, number, "hangs")
        assert gone | hung <= set(record.lost) <= gone | hung | gone_before
        assert met(walked, number, "restarts") <= set(record.counted)
        assert len(record.counted) == COUNT - len(record.lost)
        assert all("went away and did not come back" in record.lost[site] for site in gone)
        assert all("gave no answer within" in record.lost[site] for site in hung)
        assert all(record.lost[site] == "not connected" for site in set(record.lost) - gone - hung)
        assert record.seconds <= Deadlines().factor * (usual + BACK_S + usual), "the hung site's own deadline ends it"
        gone_before = gone
