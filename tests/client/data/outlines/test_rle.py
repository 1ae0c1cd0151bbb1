"""Run lengths against masks that pycocotools 2.0.11 packed, and against the plain form."""

from __future__ import annotations

import numpy as np
import pytest

from client.data.outlines.annotation import OutlineError
from client.data.outlines.rle import decode_coco_rle, decode_cvat_rle

ELLIPSE = (
    "dg61c38K2M4M2O0O2N2N2O0O2O0O2O000O2O000O2O00000O2O0000000000000000000O20N100000000000000000001N1000001N10001N10001N"
    "101N101N2N2N101N3L3N5HXk8"
)


def test_packed_text_is_what_pycocotools_packed() -> None:
    y, x = np.mgrid[:120, :200]
    ellipse = ((x - 90) / 33.0) ** 2 + ((y - 60) / 17.0) ** 2 <= 1
    assert np.array_equal(decode_coco_rle({"size": [120, 200], "counts": ELLIPSE}), ellipse)
    notched = np.zeros((12, 20), np.uint8)
    notched[3:9, 5:15] = 1
    notched[3, 5] = notched[8, 9:13] = 0
    assert np.array_equal(decode_coco_rle({"size": [12, 20], "counts": "P256100000O10000001O0i1"}), notched)


def test_plain_runs_go_by_column_and_cvats_by_row() -> None:
    assert decode_coco_rle({"size": [2, 3], "counts": [1, 2, 3]}).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert decode_cvat_rle([1, 2, 3], 2, 3).tolist() == [[0, 1, 1], [0, 0, 0]]


@pytest.mark.parametrize(
    ("size", "counts"),
    [
        ([2, 2], [1, 2]),
        ([2, 2], [1, -1, 4]),
        ([2, 2], [1.5, 2.5]),
        ([2, 2], [True, 3]),
        ([2, 2], None),
        ([2, 2], [2**40, 1]),
        ([10**6, 10**6], [10**12]),
        ([0, 2], []),
        ([2], [2]),
        (None, [2]),
        ([2, 2], "P"),
        ([2, 2], "ooooooooooooooooo"),
        ([2, 2], "   "),
    ],
)
def test_odd_runs_are_refused_before_memory_is_taken(size: object, counts: object) -> None:
    with pytest.raises(OutlineError):
        decode_coco_rle({"size": size, "counts": counts})
