"""Colours and symbols of all figures, safe for colour-blind readers; needs no matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ceus_models.study.taxonomy import FUSION_MODELS, LESION_TYPES

INK = "#1f2933"
FAINT = "#9aa5b1"
WASH = "#e4e7eb"
GOOD = "#1b7837"
BAD = "#dc267f"
PEAK = BAD
LESION, BOX = "#ffb000", "#35c2ff"
"""The outline and the crop, over grey pictures."""
FOR, AGAINST = "#0b5394", "#d97706"
"""Bars of contributions for and against a prediction."""

Dash = str | tuple[int, tuple[float, ...]]


@dataclass(frozen=True)
class Look:
    """The style of a series; colour, line and marker each identify it, also in grey print."""

    colour: str
    line: Dash
    marker: str


# After Okabe & Ito's colour-blind safe palette (2008, "Color universal design"), without its pale yellow.
_LOOKS = (
    Look("#0072b2", "-", "o"),
    Look("#d55e00", (0, (5.0, 2.0)), "s"),
    Look("#009e73", (0, (6.0, 2.0, 1.0, 2.0)), "^"),
    Look("#b0579a", (0, (1.5, 1.5)), "D"),
    Look("#e69f00", (0, (9.0, 2.5)), "v"),
    Look("#3a9bdc", (0, (4.0, 1.5, 1.0, 1.5, 1.0, 1.5)), "P"),
)
TYPE_LOOKS: Mapping[str, Look] = dict(zip(LESION_TYPES, _LOOKS, strict=True))
MODEL_LOOKS: Mapping[str, Look] = dict(
    zip(
        FUSION_MODELS,
        (
            Look("#8a949e", (0, (1.5, 1.5)), "o"),
            Look("#e69f00", (0, (6.0, 2.0, 1.0, 2.0)), "s"),
            Look("#009e73", (0, (5.0, 2.0)), "^"),
            Look("#0b3c6f", "-", "D"),
        ),
        strict=True,
    )
)


def series_look(index: int) -> Look:
    """The look of the index-th series of a figure."""
    return _LOOKS[index % len(_LOOKS)]
