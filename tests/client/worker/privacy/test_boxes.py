"""A box opens for its receiver in its session only, and tags convince only the site they are for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ceus_models.protocol.messages import Session
from ceus_models.protocol.privacy.masks import derive_key, derive_public_key
from ceus_models.protocol.privacy.secure_session import BOX_BYTES, TAG_BYTES
from ceus_models.protocol.privacy.shamir import SHARE_BYTES, combine_shares
from client.policy.policy import TaskDeclined
from client.worker.privacy.boxes import Members

SESSION = Session("0" * 32, ("a", "b", "c", "d"), 3)
PRIVATE = [derive_key(bytes([place + 1]) * 32, "channel") for place in range(4)]
KEYS = tuple(map(derive_public_key, PRIVATE))
SITES = [Members(SESSION, KEYS, place, private) for place, private in enumerate(PRIVATE)]
MASKS = [bytes([place + 11]) * 32 for place in range(4)]
SEEDS = [bytes([place + 21]) * 32 for place in range(4)]
ROWS = [site.seal_boxes(mask, seed) for site, mask, seed in zip(SITES, MASKS, SEEDS, strict=True)]
ALL = b"".join(ROWS)


def test_every_site_reads_the_others_mask_keys():
    for place, site in enumerate(SITES):
        expected = {other: derive_public_key(MASKS[other]) for other in range(4) if other != place}
        assert site.read_mask_keys(ALL) == expected
        assert site.has_own_boxes(ALL, ROWS[place])
        assert not site.has_own_boxes(ALL, ROWS[place - 1])


def test_shares_of_three_sites_give_back_what_was_asked():
    """Of "a", "b" and "c" the seed, as they are in the sum; of "d" the mask key; never both."""
    rows = [site.collect_shares(ALL, ("a", "b", "c")) for site in SITES[:3]]
    parts = [[row[begin : begin + SHARE_BYTES] for begin in range(0, len(row), SHARE_BYTES)] for row in rows]
    found = [combine_shares({x + 1: parts[x][place] for x in range(3)}) for place in range(4)]
    assert found == [*SEEDS[:3], MASKS[3]]


def test_an_absent_site_has_no_share():
    absent = ALL[: 4 * BOX_BYTES] + bytes(4 * BOX_BYTES) + ALL[8 * BOX_BYTES :]
    shares = SITES[0].collect_shares(absent, ("a", "c", "d"))
    assert shares[SHARE_BYTES : 2 * SHARE_BYTES] == bytes(SHARE_BYTES)
    assert set(SITES[0].read_mask_keys(absent)) == {2, 3}


def test_boxes_of_another_session_do_not_open():
    other = Members(replace(SESSION, id="1" * 32), KEYS, 0, PRIVATE[0])
    with pytest.raises(TaskDeclined, match="sealed for this place"):
        other.read_mask_keys(ALL)


def test_tags_are_for_one_site_and_one_view():
    tags = b"".join(site.make_tags("view") for site in SITES)
    survivors = ("a", "b", "c", "d")
    assert all(site.count_confirmed("view", tags, survivors) == 4 for site in SITES)
    assert SITES[0].count_confirmed("view", tags, ("a", "b")) == 2
    assert SITES[0].count_confirmed("another view", tags, survivors) == 0
    shifted = tags[TAG_BYTES:] + tags[:TAG_BYTES]
    assert SITES[0].count_confirmed("view", shifted, survivors) == 0


def test_keys_are_not_shown():
    assert PRIVATE[0].hex() not in repr(SITES[0])
    assert repr(PRIVATE[0]) not in repr(SITES[0])
