"""The contact sheet of a scan: pages, pictures that are gone, and those of an earlier scan."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from client.data.sheets.scan_sheet import PAGE_TILES, ScanTile, write_scan_sheets


def make_tile(path: Path, contrast: str = "yes") -> ScanTile:
    return ScanTile(path, "L0001 clip 1: contrast yes", "24 frames", contrast)


def test_tiles_come_on_pages_and_old_pages_go(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    cv2.imwrite(str(picture), np.full((120, 300), 250, np.uint8))
    pages = write_scan_sheets([make_tile(picture)] * (PAGE_TILES + 1), tmp_path)
    assert [path.name for path in pages] == ["contact-01.png", "contact-02.png"]
    assert [path.name for path in write_scan_sheets([make_tile(picture)], tmp_path)] == ["contact-01.png"]
    assert not (tmp_path / "contact-02.png").exists()
    assert write_scan_sheets([], tmp_path) == []


def test_a_picture_is_shown_and_a_missing_one_is_grey(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    cv2.imwrite(str(picture), np.zeros((120, 242), np.uint8))
    shown = [
        cv2.imread(str(write_scan_sheets([make_tile(path)], tmp_path)[0]), 0) for path in (picture, tmp_path / "b")
    ]
    black = [int((page < 10).sum()) for page in shown]
    assert black[0] > 0.5 * 120 * 242
    assert black[1] < 0.2 * black[0]
