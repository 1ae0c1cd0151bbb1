"""Panes drawn on a screen become a template in site.yaml, of which nothing else changes."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from small_hospital import COLUMNS_PX, ROWS, SmallHospital

from ceus_models.runtime.errors import ExpectedError
from client.console.outlining.cases import find_case
from client.console.outlining.screen_template import read_screen, save_template
from client.data.forms.site_config import load_site

GIVEN: dict[str, Any] = {
    "manufacturer": "Mindray",
    "rows": 96,
    "columns": 160,
    "contrast": [0, 16, 80, 96],
    "bmode": [80, 16, 160, 96],
    "tint": "gold",
    "dynamic_range_db": 56.0,
}
BEGIN = "schema: 1\ncenter: 5\nname: H  # ours\n"
ENTRY = (
    "{manufacturer: Mindray, rows: 96, columns: 160, contrast: [0, 16, 80, 96], bmode: [80, 16, 160, 96], tint: gold, "
    "dynamic_range_db: 56.0}"
)
OTHER = "{manufacturer: GE, rows: 96, columns: 160, contrast: [0, 0, 80, 96]}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (BEGIN, f"{BEGIN}screens:\n  - {ENTRY}\n"),
        (f"{BEGIN}screens: []  # none yet\n", f"{BEGIN}screens: [{ENTRY}]  # none yet\n"),
        (f"{BEGIN}screens: [{OTHER}]\n", f"{BEGIN}screens: [{ENTRY}, {OTHER}]\n"),
        (f"{BEGIN}screens:\n- {OTHER}\n", f"{BEGIN}screens:\n- {ENTRY}\n- {OTHER}\n"),
        (f"screens:\n    - {OTHER} # GE\n{BEGIN}", f"screens:\n    - {ENTRY}\n    - {OTHER} # GE\n{BEGIN}"),
        (
            f"{BEGIN}screens:\n  - {OTHER}\n  - manufacturer: mindray DC\n    rows: 96\n    columns: 160\n"
            "    contrast: [1, 2, 3, 4]  # old\n  # last\nwork: .w\n",
            f"{BEGIN}screens:\n  - {OTHER}\n  - {ENTRY}  # old\n  # last\nwork: .w\n",
        ),
    ],
)
def test_the_entry_stands_among_the_others_and_nothing_else_changes(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(before)
    assert save_template(load_site(tmp_path), GIVEN) == ENTRY
    assert path.read_text() == after
    (screen,) = (one for one in load_site(tmp_path).screens if one.manufacturer == "Mindray")
    assert (screen.contrast, screen.bmode, screen.tint) == ((0, 16, 80, 96), (80, 16, 160, 96), "gold")


def test_the_example_of_init_takes_one(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_bytes(files("client.cli").joinpath("site.example.yaml").read_bytes())
    before = path.read_text().splitlines()
    save_template(load_site(tmp_path), GIVEN)
    assert [line for line in path.read_text().splitlines() if line not in before] == [f"  - {ENTRY}"]
    assert len(load_site(tmp_path).screens) == 2


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"contrast": [0, 16, 80, 900]}, "draw them again"),
        ({"contrast": None}, "draw them again"),
        ({"bmode": [80, 16, 150, 96]}, r"\(80, 80\) and \(70, 80\)"),
        ({"tint": "pink"}, "choose another"),
        ({"rows": "x: 1"}, "draw them again"),
        ({"center": 7}, "draw them again"),
        ({"manufacturer": ""}, "draw them again"),
    ],
)
def test_what_is_no_template_is_refused(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    (tmp_path / "site.yaml").write_text(BEGIN)
    with pytest.raises(ExpectedError, match=said):
        save_template(load_site(tmp_path), {**GIVEN, **changed})
    assert (tmp_path / "site.yaml").read_text() == BEGIN


def test_a_hostile_maker_stays_one_value(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(BEGIN)
    save_template(load_site(tmp_path), {**GIVEN, "manufacturer": "GE}, {x: 1}\nname: other"})
    document = yaml.safe_load((tmp_path / "site.yaml").read_text())
    assert document["name"] == "H"
    assert [screen["manufacturer"] for screen in document["screens"]] == ["GE}, {x: 1}\nname: other"]


def test_a_frame_is_shown_with_the_panes_as_they_are_found(tmp_path: Path) -> None:
    site = load_site(SmallHospital(tmp_path, 1).write())
    found = read_screen(find_case(site, 2), site)
    picture = cv2.imdecode(np.frombuffer(found.picture, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (ROWS, COLUMNS_PX, 3)
    assert (found.rows, found.columns, found.origin) == (ROWS, COLUMNS_PX, "template")
    assert (found.contrast, found.bmode) == ((0, 16, 80, 96), (80, 16, 160, 96))
    blue, red = picture[30:80, 20:50, 0].mean(), picture[30:80, 20:50, 2].mean()
    assert red > 1.5 * blue, "gold, and not its mirror"


def test_a_clip_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    made = SmallHospital(tmp_path, 1)
    site = load_site(made.write())
    made.path(0, "clips").write_bytes(b"RIFF")
    with pytest.raises(ExpectedError, match="export the clip again"):
        read_screen(find_case(site, 2), site)
