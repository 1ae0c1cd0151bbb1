"""No genuine clip of a phantom has a fault or a doubt: all makers, formats and compressions."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pydicom
import pytest
from toy_cases import ENTITIES, case

from ceus_models.study.processing import Processing
from client.data.dataset.check import check_site
from client.data.dataset.index import build_index
from client.data.forms.site_config import load_site
from sim.hospital import hospital
from sim.hospital.hospital import Style, write_hospital
from sim.hospital.paperwork import write_policy
from sim.hospital.screens import MAKERS
from sim.hospital.writers import SYNTAXES, Syntax
from sim.phantom.draw import PRESETS, PhantomSettings
from tests.support.made_copies import demo_phantoms

SMALL = Processing(frames_to_peak=8, frames_after=4, size=24, flow_maps=2, flow_size=24)
FORMATS: list[tuple[str, Syntax]] = [(".dcm", name) for name in get_args(Syntax)] + [(".avi", "jpeg"), (".mp4", "jpeg")]
RATES = {
    "demo": demo_phantoms(),
    "smoke": PRESETS["smoke"],
    "slow": dataclasses.replace(PRESETS["smoke"], frame_rate_hz=0.8),
}


def write_all(root: Path, settings: PhantomSettings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hospital with a lesion of each maker in each format, every other one with irregular times."""
    styles = iter([(suffix, name) for _ in MAKERS for suffix, name in FORMATS])

    def draw_style(settings: PhantomSettings, rng: np.random.Generator) -> Style:
        suffix, name = next(styles)
        clips = 1 + len(settings.snapshots_s)
        kind: Any = suffix
        return Style(kind, (name,) * clips, bool(rng.random() < 0.5), bool(rng.random() < 0.1), False, "contrast")

    monkeypatch.setattr(hospital, "draw_style", draw_style)
    makers = [maker for maker in MAKERS for _ in FORMATS]
    lesions = [case(i, *ENTITIES[i % len(ENTITIES)], maker=maker) for i, maker in enumerate(makers)]
    write_hospital(root / "site-07", root / "truth", 7, lesions, settings, 5)
    write_policy(root / "site-07" / "policy.yaml", "open")
    return root / "site-07"


@pytest.mark.parametrize("name", RATES)
def test_no_maker_and_no_format_has_a_fault_or_a_doubt(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_all(tmp_path, RATES[name], monkeypatch)
    report = check_site(folder)
    assert (report.faults, report.doubts, report.notes) == ((), (), ())
    assert report.usable == len(MAKERS) * len(FORMATS)
    if name == "demo":
        indexed = build_index(load_site(folder), SMALL)
        assert (indexed.faults, indexed.notes) == ((), ())
        assert [look for look in indexed.look if look.column == "clip_checked"] == []


def test_the_clips_are_what_the_makers_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the test above would say little: even and irregular times, whole-number rates, all three compressions."""
    folder = write_all(tmp_path, RATES["smoke"], monkeypatch)
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in sorted((folder / "clips").glob("*.dcm"))]
    assert {header.file_meta.TransferSyntaxUID for header in headers} == set(SYNTAXES.values())
    assert {header.Manufacturer for header in headers} == {maker.tag for maker in MAKERS.values()}
    assert len({"FrameTimeVector" in header for header in headers}) == 2
    assert all(header.CineRate == int(header.CineRate) for header in headers)
    assert {path.suffix for path in (folder / "clips").iterdir()} == {".dcm", ".avi", ".mp4"}
