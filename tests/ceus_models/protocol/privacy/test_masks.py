"""Known answers of the ciphers, and what a box and a key refuse."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from ceus_models.protocol.privacy import masks
from ceus_models.protocol.privacy.masks import (
    BOX_OVERHEAD,
    add_stream,
    agree_on_key,
    derive_key,
    derive_public_key,
    open_box,
    seal_box,
)

KEY = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
"""Of NIST SP 800-38A, F.5.5 (CTR-AES256)."""
ALICE = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"
ALICE_PUBLIC = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
BOB = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"
BOB_PUBLIC = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
SHARED = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
"""Of RFC 7748, section 6.1."""


def test_the_stream_is_aes_256(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counter block f0f1…ff of F.5.5, in place of zeros, gives the standard's output blocks."""
    begin = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    real = masks.modes.CTR
    monkeypatch.setattr(masks, "modes", SimpleNamespace(CTR=lambda counter: real(begin)))
    vector = np.zeros(8, np.uint64)
    add_stream(vector, KEY, 1)
    expected = (
        "0bdf7df1591716335e9a8b15c860c502",
        "5a6e699d536119065433863c8f657b94",
        "1bc12c9c01610d5d0d8bd6a3378eca62",
        "2956e1c8693536b1bee99c73a31576b6",
    )
    assert vector.astype("<u8").tobytes().hex() == "".join(expected)


def test_a_long_stream_is_one_stream() -> None:
    """Slices join without a seam: the blocks are those of one call of the cipher."""
    vector = np.zeros(100_003, np.uint64)
    add_stream(vector, KEY, 1)
    whole = masks.Cipher(masks.algorithms.AES(KEY), masks.modes.CTR(bytes(16))).encryptor()
    assert vector.astype("<u8").tobytes() == whole.update(bytes(8 * 100_003))


def test_what_is_added_can_be_taken_away() -> None:
    before = np.arange(70_000, dtype=np.uint64)
    vector = before.copy()
    add_stream(vector, KEY, 1)
    assert not (vector == before).any()
    add_stream(vector, KEY, -1)
    assert (vector == before).all()


def test_key_agreement_of_rfc_7748() -> None:
    """Section 6.1 of the standard."""
    alice, bob = bytes.fromhex(ALICE), bytes.fromhex(BOB)
    assert derive_public_key(alice).hex() == ALICE_PUBLIC
    assert derive_public_key(bob).hex() == BOB_PUBLIC
    assert agree_on_key(alice, derive_public_key(bob)).hex() == SHARED
    assert agree_on_key(bob, derive_public_key(alice)).hex() == SHARED


def test_a_key_of_small_order_is_refused() -> None:
    with pytest.raises(ValueError):
        agree_on_key(bytes(range(32)), bytes(32))


def test_labels_give_independent_keys() -> None:
    keys = {derive_key(KEY, label) for label in ("channel", "box|1", "box|2")}
    assert len(keys) == 3
    assert len(derive_key(KEY, "agree", 16)) == 16
    assert derive_key(KEY, "channel") == derive_key(KEY, "channel")


def test_a_box_opens_in_its_place_only() -> None:
    box = seal_box(KEY, b"content", b"session")
    assert open_box(KEY, box, b"session") == b"content"
    assert len(box) == len(b"content") + BOX_OVERHEAD
    changed = box[:-1] + bytes([box[-1] ^ 1])
    for key, found, place in ((KEY, box, b"other"), (bytes(32), box, b"session"), (KEY, changed, b"session")):
        with pytest.raises(ValueError, match="sealed for this place"):
            open_box(key, found, place)


def test_two_boxes_of_one_content_differ() -> None:
    """A site that was restarted seals other secrets under the same key: no nonce may come twice."""
    assert seal_box(KEY, b"content", b"")[:12] != seal_box(KEY, b"content", b"")[:12]
