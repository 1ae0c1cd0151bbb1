from __future__ import annotations

import numpy as np

from sim.phantom.bmode import LESION_DB, draw_echo
from sim.phantom.kinetics import TISSUES


def test_every_tissue_has_an_echogenicity() -> None:
    assert set(LESION_DB) == set(TISSUES)


def test_a_lipoma_is_brighter_than_the_liver() -> None:
    rng = np.random.default_rng(1)
    found = [draw_echo("LIP", False, fatty, rng).lesion_db for fatty in (False, True) for _ in range(200)]
    assert min(found) > 0
    assert np.mean(found) > np.mean([draw_echo("HH", False, False, rng).lesion_db for _ in range(400)])
