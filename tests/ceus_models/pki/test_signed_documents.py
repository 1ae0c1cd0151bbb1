"""Signed documents: every changed byte is found, and anything at all is read without a crash."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from ceus_models.pki.keys import generate_key
from ceus_models.pki.signed_documents import MAX_BYTES, DocumentError, parse_document, read_document, sign_document

KEY, OTHER = generate_key(), generate_key()
CONTENT = {"name": "site-01", "count": 3, "words": ["ä", "b"]}
WRITTEN = sign_document("kit", CONTENT, {"coordinator": KEY})


def test_the_signer_is_known_by_role_and_key() -> None:
    document = parse_document(WRITTEN, "kit", "it")
    assert document.content == CONTENT
    assert document.is_signed_by("coordinator", KEY.public_key())
    assert not document.is_signed_by("coordinator", OTHER.public_key())
    assert not document.is_signed_by("site", KEY.public_key())


def test_the_same_content_as_another_kind_is_not_signed() -> None:
    swapped = parse_document(WRITTEN.replace(b'"fedceus": "kit"', b'"fedceus": "request"'), "request", "it")
    assert not swapped.is_signed_by("coordinator", KEY.public_key())


def test_content_that_was_changed_is_not_signed() -> None:
    source = random.Random(1)
    changed = 0
    for _ in range(600):
        place = source.randrange(len(WRITTEN))
        edited = bytearray(WRITTEN)
        edited[place] ^= 1 << source.randrange(8)
        try:
            found = parse_document(bytes(edited), "kit", "it")
        except DocumentError:
            continue
        if found.content != CONTENT:
            changed += 1
            assert not found.is_signed_by("coordinator", KEY.public_key()), place
    assert changed > 20


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[1]", b"null", b'"kit"', b"\xff\xfe", b"[" * 60_000, WRITTEN[:-40], b" " * (MAX_BYTES + 1)]
    + [
        json.dumps({"fedceus": "kit", "content": c, "signatures": s}).encode()
        for c, s in [([], {}), ({}, 1), ({}, {"a": "?"})]
    ],
)
def test_anything_else_is_refused_with_the_remedy(data: bytes) -> None:
    with pytest.raises(DocumentError, match="it .*ask for the file again"):
        parse_document(data, "kit", "it")


def test_a_file_that_is_not_there_is_an_expected_error(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="cannot be read"):
        read_document(tmp_path / "none", "kit")


@pytest.mark.parametrize(
    "content",
    [{"name": "a\x1b[2Jb"}, {"words": ["a\x9b31m"]}, {"a\x07": 1}, {"deep": {"er": ["\u202eb"]}}, {"name": "a\rb"}],
    ids=ascii,
)
def test_control_characters_are_refused_whoever_signed_them(content: dict[str, object]) -> None:
    with pytest.raises(DocumentError, match="it holds control characters") as caught:
        parse_document(sign_document("kit", content, {"coordinator": KEY}), "kit", "it")
    assert str(caught.value).isprintable()
