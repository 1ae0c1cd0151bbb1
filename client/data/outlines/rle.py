"""Decode run-length masks: COCO's (Lin 2014; by column, plain or as text) and CVAT's (by row, within a box)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from client.data.outlines.annotation import check_sides, malformed

U8 = npt.NDArray[np.uint8]

_FIRST_CHARACTER = 48
_MAX_DIGITS = 7
"""Five bits a character: a run below 2³¹ needs no more."""


def coco_mask(segmentation: Mapping[str, Any]) -> U8:
    """The mask (h w) of {"size": [rows, columns], "counts": [...] or text}. Raises OutlineError.

    >>> coco_mask({"size": [2, 3], "counts": [1, 2, 3]}).tolist()
    [[0, 1, 0], [1, 0, 0]]
    """
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if not isinstance(size, list) or len(size) != 2:
        raise malformed('run lengths state "size" as [rows, columns]', "something else")
    rows, columns = check_sides(*size)
    if isinstance(counts, str):
        counts = _unpacked(counts)
    return np.ascontiguousarray(_painted(counts, rows * columns).reshape(columns, rows).T)


def box_mask(counts: Sequence[Any], rows: int, columns: int) -> U8:
    """The mask (h w) of CVAT's runs, by row. Raises OutlineError.

    >>> box_mask([1, 2, 3], 2, 3).tolist()
    [[0, 1, 1], [0, 0, 0]]
    """
    check_sides(rows, columns)
    return _painted(counts, rows * columns).reshape(rows, columns)


def _painted(counts: object, pixels: int) -> U8:
    """0 and 1 by turns, beginning with 0 (pixels)."""
    if not isinstance(counts, Sequence) or len(counts) > pixels + 1 or not all(map(_is_run, counts)):
        raise malformed("run lengths are whole numbers from 0", "something else")
    if sum(counts) != pixels:
        raise malformed("run lengths add up to the number of pixels of the mask", f"{sum(counts)} for {pixels}")
    values = (np.arange(len(counts)) % 2).astype(np.uint8)
    return np.repeat(values, np.array(counts, dtype=np.int64))


def _is_run(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _unpacked(text: str) -> list[int]:
    """COCO's text: 5 bits a character from "0", bit 6 says that more follow, and from the fourth run on each is the
    difference to the one two before (maskApi.c of the COCO API, rleFrString).
    """
    runs: list[int] = []
    value, digits = 0, 0
    for character in text:
        code = ord(character) - _FIRST_CHARACTER
        if not 0 <= code < 64 or digits >= _MAX_DIGITS:
            raise malformed("compressed run lengths are text in COCO's format", "other characters")
        value |= (code & 31) << (5 * digits)
        digits += 1
        if code & 32:
            continue
        if code & 16:
            value -= 1 << (5 * digits)
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, digits = 0, 0
    if digits:
        raise malformed("compressed run lengths are complete", "a text that is cut off")
    return runs
