"""The ledger as a picture: a bar a study up to the hospital's cap, and one over all studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from ceus_models.figures.canvas import Frame, render_png
from ceus_models.figures.palette import FAINT, INK, WASH
from client.worker.privacy.spending import StudySpending

_DOTS_PER_INCH = 150


def draw_spending(rows: Sequence[StudySpending], names: Mapping[str, str], lifetime: float, cap: float) -> bytes:
    """Draw what was spent as a PNG.

    Args:
        rows: a study each.
        names: the hospital's own names by digest.
        lifetime: ε over all studies.
        cap: on it.
    """
    bars = [(names.get(row.study, f"{row.study[:12]}…"), row.epsilon, row.cap) for row in rows]
    bars.append(("all studies", lifetime, cap))

    def draw(figure: Figure) -> None:
        axes = figure.gca()
        for place, (name, spent, most) in enumerate(reversed(bars)):
            axes.barh(place, most, height=0.55, color=WASH)
            axes.barh(place, min(spent, most), height=0.55, color=INK)
            axes.text(0.0, place + 0.34, name, va="bottom", ha="left")
            axes.text(most, place + 0.34, f"{spent:.2f} of {most:g}", va="bottom", ha="right", color=FAINT)
        axes.set_yticks([])
        axes.set_ylim(-0.5, len(bars) - 0.2)
        axes.set_xlabel("ε of the patient who lost most: spent (dark), and what the hospital allows")

    frame = Frame(width=5.4, height=0.7 + 0.55 * len(bars), left=0.2, right=0.2, top=0.1)
    return render_png(frame, draw, _DOTS_PER_INCH)
