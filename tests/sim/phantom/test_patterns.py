from __future__ import annotations

import numpy as np
import pytest
from toy_cases import ENTITIES

from sim.phantom.patterns import Pattern, draw_pattern


def _drawn(fll_type: str, subtype: str = "", size_cm: float = 4.0, grade: float = 0.5) -> list[Pattern]:
    rng = np.random.default_rng(11)
    return [draw_pattern(fll_type, subtype, grade, size_cm, rng) for _ in range(400)]


def _share(patterns: list[Pattern], kind: str) -> float:
    return sum(p.kind == kind for p in patterns) / len(patterns)


def test_published_frequencies() -> None:
    # every abscess has a rim; an early one has melted in part
    assert _share(_drawn("HA"), "cavity") + _share(_drawn("HA"), "rim") == 1.0
    assert _share(_drawn("HA"), "cavity") == pytest.approx(0.85, abs=0.06)
    assert sum(p.septa for p in _drawn("HA")) / 400 == pytest.approx(0.415, abs=0.08)
    assert _share(_drawn("HCC"), "rim") < 0.06
    assert 0.1 < _share(_drawn("ICC"), "rim") < 0.65
    assert _share(_drawn("HM", "CRC"), "rim") > 0.6
    assert _share(_drawn("HM", "NEN"), "rim") < 0.2
    assert _share(_drawn("OT", "FNH"), "spoke") == 1.0
    assert _share(_drawn("OT", "HCA"), "inward") == pytest.approx(0.89, abs=0.05)
    assert _share(_drawn("OT", "LIP"), "diffuse") == 1.0


def test_haemangioma_by_size() -> None:
    large, small = _drawn("HH", size_cm=6.0), _drawn("HH", size_cm=1.5)
    assert _share(large, "nodular") > 0.8
    assert _share(small, "diffuse") == pytest.approx(0.32, abs=0.08)  # flash filling is a matter of the small
    assert all(0.6 <= p.fill_stop <= 0.9 for p in large if p.kind == "nodular")
    assert all(3 <= p.nodules <= 8 for p in large if p.kind == "nodular")
    filled = [p.fill_s < 165 for p in _drawn("HH", size_cm=3.5) if p.kind == "nodular"]
    assert np.mean(filled) == pytest.approx(0.72, abs=0.12)  # published: 78 % within 180 s of injection


def test_rims_have_the_published_thickness() -> None:
    thickness = {t: [p.rim_mm for p in _drawn(t, s) if p.kind == "rim"] for t, s in (("HM", "CRC"), ("ICC", ""))}
    assert 2 <= min(thickness["HM"]) <= max(thickness["HM"]) <= 6
    assert 5 <= min(thickness["ICC"]) <= max(thickness["ICC"]) <= 12


def test_poor_grade_is_less_homogeneous() -> None:
    well, poor = ([p.texture for p in _drawn("HCC", grade=g)] for g in (0.1, 0.9))
    assert np.mean(poor) > 1.7 * np.mean(well)
    assert _share(_drawn("HCC", grade=0.9), "mosaic") > _share(_drawn("HCC", grade=0.1), "mosaic")


def test_grade_has_signs_of_its_own() -> None:
    well, poor = (_drawn("HCC", grade=g) for g in (0.1, 0.9))
    for grade, drawn in ((0.1, well), (0.9, poor)):
        assert (np.mean([p.feeders > 0 for p in drawn]) > 0.53) == (grade > 0.5)
        assert (np.mean([p.capsule for p in drawn]) < 0.26) == (grade > 0.5)
        assert (np.mean([p.inner_blood > 1 for p in drawn]) > 0.5) == (grade > 0.5)
    all_grades = [p for g in np.linspace(0.025, 0.975, 20) for p in _drawn("HCC", grade=float(g))]
    assert np.mean([p.feeders > 0 for p in all_grades]) == pytest.approx(0.53, abs=0.04)
    assert np.mean([p.capsule for p in all_grades]) == pytest.approx(0.26, abs=0.04)
    # a metastasis has them less often, whatever its grade
    other = _drawn("HM", "CRC", grade=0.9)
    assert np.mean([p.feeders > 0 for p in other]) < 0.2
    assert np.mean([p.inner_blood > 1 for p in other]) < 0.1


def test_no_type_has_numbers_of_its_own() -> None:
    textures = {t: {round(p.texture, 6) for p in _drawn(t, s)} for t, s in ENTITIES}
    assert all(len(found) > 200 for found in textures.values())
