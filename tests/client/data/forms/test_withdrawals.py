from __future__ import annotations

from pathlib import Path

import pytest

from ceus_models.runtime.errors import ExpectedError
from client.data.forms.withdrawals import Withdrawal, add_withdrawal, count_withdrawn, read_withdrawals


def test_a_patient_stands_once_in_the_list(tmp_path: Path) -> None:
    assert read_withdrawals(tmp_path) == {}
    add_withdrawal(tmp_path, Withdrawal("p", "2026-01-01", ("a",)))
    add_withdrawal(tmp_path, Withdrawal("q", "2026-01-02", ("c",)))
    add_withdrawal(tmp_path, Withdrawal("p", "2026-01-03", ("a", "b")))
    assert read_withdrawals(tmp_path) == {
        "p": Withdrawal("p", "2026-01-03", ("a", "b")),
        "q": Withdrawal("q", "2026-01-02", ("c",)),
    }


def test_patients_are_counted_among_the_lesions_of_a_study(tmp_path: Path) -> None:
    add_withdrawal(tmp_path, Withdrawal("p", "2026-01-01", ("a", "b")))
    add_withdrawal(tmp_path, Withdrawal("q", "2026-01-02", ("c",)))
    assert count_withdrawn(tmp_path, ["a", "b", "z"]) == 1
    assert count_withdrawn(tmp_path, ["c", "a"]) == 2
    assert count_withdrawn(tmp_path, ["z"]) == 0


@pytest.mark.parametrize("content", [b"", b"{}x", b"[3]", b'[{"patient": "p"}]', b"\xff"])
def test_a_withdrawal_is_never_forgotten_by_a_spoilt_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "withdrawn.json").write_bytes(content)
    with pytest.raises(ExpectedError, match="no lesion is used"):
        read_withdrawals(tmp_path)
