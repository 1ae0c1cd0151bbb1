"""Which parameters of a net a rule trains."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

HEADS = ("spatial_head", "temporal_head", "weighting")
"""The layers of a two-stream net above its branches' summaries."""


def list_trained(names: Iterable[str], trains: Literal["all", "heads"]) -> tuple[str, ...]:
    """The names among a net's parameters that change.

    >>> list_trained(["spatial.lstm.bias_hh_l0", "spatial_head.weight"], "heads")
    ('spatial_head.weight',)
    """
    return tuple(name for name in names if trains == "all" or name.split(".")[0] in HEADS)
