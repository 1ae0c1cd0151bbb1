"""The lesions of the table as who outlines needs them, also of rows that cannot be used yet."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_hospital import SmallHospital

from ceus_models.runtime.errors import ExpectedError
from client.console.outlining.cases import find_case, list_cases, list_other_faults
from client.data.forms.site_config import load_site, make_pseudonym
from client.data.forms.withdrawals import Withdrawal, add_withdrawal


def test_rows_without_outline_or_with_faults_have_a_case(tmp_path: Path) -> None:
    made = SmallHospital(tmp_path, 6)
    made.rows[1]["outline"] = ""
    made.rows[2]["outline"] = "outlines/gone.json"
    made.rows[3] |= {"exam_date": "soon", "clip_start_s": "", "outline_frame": "", "outline_pane": ""}
    made.rows[4] |= {"track_checked": "yes", "reinjection_s": "90", "outline_pane": "bmode"}
    made.rows[5]["clips"] = "clips/gone.avi"
    site = load_site(made.write())
    cases = {case.line: case for case in list_cases(site)}
    assert sorted(cases) == [2, 3, 4, 5, 6]
    assert [cases[line].outline is None for line in sorted(cases)] == [False, True, True, False, False]
    assert (cases[3].cell, cases[4].cell) == ("", "outlines/gone.json")
    assert [[fault.column for fault in cases[line].faults] for line in sorted(cases)] == [[], [], [], ["exam_date"], []]
    assert (cases[5].timed, cases[5].frame_cell, cases[5].pane) == (False, "", "screen")
    assert (cases[2].timed, cases[2].frame_cell, cases[2].pane) == (True, "8", "contrast")
    assert (cases[6].track_checked, cases[6].reinjection_s, cases[6].pane) == (True, 90.0, "bmode")
    assert {fault.row for fault in list_other_faults(site, cases.values())} == {7}
    with pytest.raises(ExpectedError, match="row 7"):
        find_case(site, 7)
    assert find_case(site, 4).lesion_id == "L2"
    assert "L2" not in repr(find_case(site, 4))


def test_who_withdrew_is_not_outlined(tmp_path: Path) -> None:
    site = load_site(SmallHospital(tmp_path, 2).write())
    add_withdrawal(site.records, Withdrawal(make_pseudonym(site, "patient", "P0"), "2026-03-01", ()))
    assert [case.line for case in list_cases(site)] == [3]


def test_lesions_in_the_same_clips_share_what_is_opened(tmp_path: Path) -> None:
    made = SmallHospital(tmp_path, 3)
    made.rows[1] |= {"clips": made.rows[0]["clips"], "patient_id": "P0"}
    cases = list_cases(load_site(made.write()))
    assert cases[0].without_cells() == cases[1].without_cells() != cases[2].without_cells()
    assert cases[0] != cases[1]
