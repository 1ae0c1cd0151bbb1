"""A total that is being opened survives its coordinator, and belongs to one question."""

from __future__ import annotations

import numpy as np
import pytest

from ceus_models.protocol.messages import Session
from ceus_models.runtime.errors import ExpectedError
from server.rounds.opening_file import FILE, OpeningFile, Pending
from server.rounds.unmasking import MaskedTotal

SESSION = Session("0" * 32, ("a", "b", "c"), 2)


def pending(question: str = "question") -> Pending:
    vector = np.array([0, 1, 2**64 - 1], np.uint64)
    masked = MaskedTotal(SESSION, "binding", {"a": bytes(32), "b": b"\1" * 32}, ("a", "b"), vector)
    return Pending(question, masked, bytes(96), b"boxes", {"c": ("lost", "went away")})


def test_what_is_kept_comes_back(tmp_path):
    file = OpeningFile(tmp_path)
    assert file.load("question") is None
    file.save(pending())
    found = file.load("question")
    assert found is not None
    assert (found.masked.vector == pending().masked.vector).all()
    assert found.masked.session == SESSION
    assert found.masked.mask_keys == pending().masked.mask_keys
    assert (found.roster, found.boxes, found.fates) == (bytes(96), b"boxes", {"c": ("lost", "went away")})
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_another_question_and_a_damaged_file_are_none(tmp_path):
    file = OpeningFile(tmp_path)
    file.save(pending())
    assert file.load("another") is None
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:60])
    assert file.load("question") is None
    file.remove()
    file.remove()
    assert not (tmp_path / FILE).exists()


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("server.rounds.opening_file.save_file", full)
    with pytest.raises(ExpectedError, match="No space left on device.*make room"):
        OpeningFile(tmp_path).save(pending())
