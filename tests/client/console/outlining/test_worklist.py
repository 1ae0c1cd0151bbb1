"""The worklist says of every lesion what is to be done."""

from __future__ import annotations

import json
import os
from pathlib import Path

from small_hospital import SmallHospital

from client.console.outlining.worklist import Worklist
from client.data.dataset.review_list import LOOK_FILE
from client.data.forms.site_config import SiteConfig, load_site, make_pseudonym


def states(worklist: Worklist) -> dict[str, str]:
    return {item.case.lesion_id: item.state for item in worklist.list_items()}


def doubt(site: SiteConfig, *lesions: str) -> None:
    site.work.mkdir(exist_ok=True)
    listed = [{"row": 0, "lesion": make_pseudonym(site, "lesion", one), "found": "the box is held"} for one in lesions]
    (site.work / LOOK_FILE).write_text(json.dumps(listed))


def test_every_lesion_has_its_state_and_faults_of_files_follow(tmp_path: Path) -> None:
    made = SmallHospital(tmp_path, 6)
    made.rows[0]["outline"] = ""
    made.rows[2]["exam_date"] = "soon"
    made.path(3, "outline").write_text("{}")
    made.path(4, "clips").write_bytes(b"RIFF" + bytes(1000))
    site = load_site(made.write())
    doubt(site, "L1")
    worklist = Worklist(site)
    first = states(worklist)
    assert {name: first[name] for name in ("L0", "L1", "L2", "L5")} == {
        "L0": "outline",
        "L1": "doubtful",
        "L2": "faults",
        "L5": "done",
    }
    worklist.wait()
    items = worklist.list_items()
    assert worklist.count_looked_at(items) == 6
    assert [item.state for item in items] == ["outline", "doubtful", "faults", "faults", "faults", "done"]
    why = {item.case.lesion_id: item.why for item in items}
    assert "the box is held" in why["L1"]
    assert why["L2"].startswith("exam_date: ")
    assert why["L3"].startswith("outline: ")
    assert why["L4"].startswith("clips: ")
    assert why["L5"] == ""


def test_a_mended_file_is_looked_at_again(tmp_path: Path) -> None:
    made = SmallHospital(tmp_path, 1)
    good = made.path(0, "outline").read_bytes()
    made.path(0, "outline").write_text("{}")
    worklist = Worklist(load_site(made.write()))
    worklist.list_items()
    worklist.wait()
    assert states(worklist) == {"L0": "faults"}
    made.path(0, "outline").write_bytes(good)
    worklist.list_items()
    worklist.wait()
    assert states(worklist) == {"L0": "done"}


def test_doubts_end_with_a_confirmation_or_another_outline(tmp_path: Path) -> None:
    made = SmallHospital(tmp_path, 4)
    made.rows[1]["track_checked"] = "yes"
    site = load_site(made.write())
    doubt(site, "L0", "L1", "L2", "L3")
    late = (site.work / LOOK_FILE).stat().st_mtime + 10
    os.utime(made.path(2, "outline"), (late, late))
    worklist = Worklist(site)
    assert states(worklist) == {"L0": "doubtful", "L3": "doubtful", "L1": "done", "L2": "done"}
    cases = {item.case.lesion_id: item.case for item in worklist.list_items()}
    worklist.keep_doubts(cases["L3"], ())
    worklist.keep_doubts(cases["L2"], ("tracked forwards and backwards it differs",))
    assert states(worklist) == {"L0": "doubtful", "L2": "doubtful", "L1": "done", "L3": "done"}


def test_a_list_of_doubts_that_cannot_be_read_costs_nothing_else(tmp_path: Path) -> None:
    site = load_site(SmallHospital(tmp_path, 1).write())
    site.work.mkdir()
    for text in ("", "{", "[1]", '{"a": 1}'):
        (site.work / LOOK_FILE).write_text(text)
        assert states(Worklist(site)) == {"L0": "done"}
