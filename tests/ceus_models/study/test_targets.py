"""Right answers of the nets."""

from __future__ import annotations

from toy_lesions import lesion

from ceus_models.study.targets import find_target


def test_targets_leave_out_what_has_no_answer() -> None:
    assert [find_target("disease/HM", lesion(0, label=t)) for t in ("HM", "HCC", "OT", None)] == [1, 0, None, None]
    assert [find_target("disease/all", lesion(0, label=t)) for t in ("ICC", "OT", None)] == [2, None, None]
    assert [find_target("fusion/D", lesion(0, label=t)) for t in ("ICC", "OT", None)] == [2, 5, None]
    markers = [find_target(f"biomarker/{m}", lesion(1, label=None)) for m in ("Hep", "GPC3", "CK7", "CK19")]
    assert markers == [1, 1, None, 0]
