"""A liver, a lesion's tissue and the grid of its plane, for tests of the phantom's parts."""

from __future__ import annotations

import numpy as np

from sim.phantom import shapes
from sim.phantom.kinetics import Kinetics, Liver

SECONDS = np.arange(0.0, 240.0, 1.0)
LIVER = Liver(arrival_s=13, transit_s=9, shape=0.55, portal_s=23, rise_s=14, decay_s=210, vein_s=23)
TISSUE = Kinetics(blood=1.2, delay_s=0.0, early=1.0, late=1.0, washout_s=120)


def make_lesion_grid() -> shapes.Grid:
    """The grid of a plane of 12 cm with a HCC of 5 cm."""
    plane = shapes.draw_plane((120, 120), 12.0, "HCC", 5.0, np.random.default_rng(1))
    return shapes.make_grid(plane, 4)
