"""Masks are taken out of a total by any enough shares; wrong shares are found."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ceus_models.protocol.messages import Session
from ceus_models.protocol.privacy.masks import agree_on_key, derive_public_key
from ceus_models.protocol.privacy.secure_session import add_pair_mask, add_self_mask
from ceus_models.protocol.privacy.shamir import SHARE_BYTES, split_secret
from server.rounds.unmasking import MaskedTotal

SITES = ("a", "b", "c", "d", "e")
SURVIVORS = ("a", "c", "d", "e")
SESSION = Session("0" * 32, SITES, 4)
MASKS = {site: bytes([place + 1]) * 32 for place, site in enumerate(SITES)}
SEEDS = {site: bytes([place + 101]) * 32 for place, site in enumerate(SITES)}
KEYS = {site: derive_public_key(MASKS[site]) for site in SITES}
PLAIN = np.arange(50, dtype=np.uint64) - np.uint64(10)


def masked() -> MaskedTotal:
    """Five sites offered boxes, "b" gave no answer; the sum of the others is PLAIN."""
    vector = PLAIN.copy()
    for place, site in enumerate(SITES):
        if site not in SURVIVORS:
            continue
        add_self_mask(vector, SEEDS[site], "binding")
        for other, peer in enumerate(SITES):
            if peer != site:
                add_pair_mask(vector, agree_on_key(MASKS[site], KEYS[peer]), "binding", (place, other))
    return MaskedTotal(SESSION, "binding", KEYS, SURVIVORS, vector)


def shares(**secrets: bytes) -> dict[str, bytes]:
    """By opener, one share of each site: of its seed where it survived, else of its mask key."""
    held = {site: (SEEDS if site in SURVIVORS else MASKS)[site] for site in SITES} | secrets
    rows = {site: split_secret(held[site], 4, 5) for site in SITES}
    return {opener: b"".join(rows[site][place] for site in SITES) for place, opener in enumerate(SITES)}


def test_any_four_of_five_open():
    total, given = masked(), shares()
    for chosen in itertools.combinations(SITES, 4):
        assert (total.unmask({site: given[site] for site in chosen}) == PLAIN).all()
    assert (total.unmask(given) == PLAIN).all()


def test_the_masked_total_itself_stays_masked():
    total = masked()
    before = total.vector.copy()
    total.unmask(shares())
    assert (total.vector == before).all()
    assert not (total.vector == PLAIN).any()


def test_shares_of_another_mask_key_are_found():
    with pytest.raises(ValueError, match="shares of the mask key of b"):
        masked().unmask(shares(b=bytes(range(32))))


def test_a_changed_share_is_found():
    given = shares()
    given["a"] = given["a"][:5] + bytes([given["a"][5] ^ 1]) + given["a"][6:]
    with pytest.raises(ValueError, match="found shares of none"):
        masked().unmask(given)
    assert len(given["a"]) == 5 * SHARE_BYTES


def test_a_wrong_seed_leaves_noise():
    """Nobody can tell a wrong seed; what remains is masked, and the rules on totals find it."""
    found = masked().unmask(shares(a=bytes(32)))
    assert not (found == PLAIN).any()
