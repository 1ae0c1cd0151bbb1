"""Which net has each output of the study: a net of its own, or a head of the trunk that the sub-models share.

A multi-task net with hard parameter sharing (Caruana 1997): one trunk, and a head for each output.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ceus_models.protocol.messages import Sharing
from ceus_models.study.taxonomy import SUBMODELS, TRUNK


class Place(NamedTuple):
    """Where an output is found.

    Args:
        net: name of the net.
        columns: of the net's outputs; all of them for a net of its own.
    """

    net: str
    columns: slice


def locate_output(output: str, sharing: Sharing) -> Place:
    """The net of an output, and its columns there.

    >>> locate_output("disease/HM", "trunk")
    Place(net='trunk', columns=slice(1, 2, None))
    >>> locate_output("disease/HM", "separate")
    Place(net='disease/HM', columns=slice(None, None, None))
    """
    if sharing == "trunk" and output in SUBMODELS:
        column = SUBMODELS.index(output)
        return Place(TRUNK, slice(column, column + 1))
    return Place(output, slice(None))


def list_nets(outputs: Iterable[str], sharing: Sharing) -> tuple[str, ...]:
    """The nets that have some outputs, each once.

    >>> list_nets(("disease/HCC", "biomarker/Hep", "disease/all"), "trunk")
    ('trunk', 'disease/all')
    """
    return tuple(dict.fromkeys(locate_output(output, sharing).net for output in outputs))


def list_outputs(net: str) -> tuple[str, ...]:
    """The outputs of a net, in the order of its columns: the sub-models for the trunk, else the net itself."""
    return SUBMODELS if net == TRUNK else (net,)
