"""How one maker lays out its screen: a device template of site.yaml."""

from __future__ import annotations

from dataclasses import dataclass

ANY_MAKER = "*"

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in screen pixels; x1 and y1 are the first ones outside."""


@dataclass(frozen=True, slots=True)
class Screen:
    """How one maker's screen of one size is laid out: used where the file itself has no ultrasound regions.

    manufacturer: normalised name, or "*" for any · rows, columns: of the screen in pixels · contrast, bmode:
    the panes, bmode None on a contrast-only screen · tint: name of the colour table of the contrast pane, None where
    the pictures tell it · dynamic_range_db: of the display, None where nobody says it.
    """

    manufacturer: str
    rows: int
    columns: int
    contrast: Box
    bmode: Box | None
    tint: str | None
    dynamic_range_db: float | None
