"""How one maker lays out its screen: a device template of site.yaml."""

from __future__ import annotations

from dataclasses import dataclass

ANY_MAKER = "*"

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in screen pixels; x1 and y1 are the first ones outside."""


@dataclass(frozen=True, slots=True)
class Screen:
    """How one maker's screen of one size is laid out: used where the file itself has no ultrasound regions.

    Attributes:
        manufacturer: Normalised name, or "*" for any.
        rows, columns: Size of the screen, px.
        contrast, bmode: The panes, bmode None on a contrast-only screen.
        tint: Name of the colour table of the contrast pane, None to detect it from the pictures.
        dynamic_range_db: Dynamic range of the display; None where it is not known.
    """

    manufacturer: str
    rows: int
    columns: int
    contrast: Box
    bmode: Box | None
    tint: str | None
    dynamic_range_db: float | None
