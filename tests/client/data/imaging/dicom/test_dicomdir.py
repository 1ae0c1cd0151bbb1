"""The list in a DICOMDIR: paths of files, and none that leads out of its folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_export import write_dicomdir

from client.data.imaging.dicom.dicomdir import list_referenced_files
from client.data.imaging.recording import ClipError


def test_the_files_are_listed_in_order(tmp_path: Path) -> None:
    listed = [("DICOM", "A", "IM1"), ("DICOM", "A", "IM2"), ("IM3",)]
    assert list_referenced_files(write_dicomdir(tmp_path, listed)) == listed


def test_a_path_that_leads_elsewhere_is_left_out(tmp_path: Path) -> None:
    listed = [("..", "etc", "passwd"), ("a/b", "c"), ("IM1",)]
    assert list_referenced_files(write_dicomdir(tmp_path, listed)) == [("IM1",)]


@pytest.mark.parametrize("kept", [0, 100, 200, 300])
def test_damage_is_an_error_of_ours(tmp_path: Path, kept: int) -> None:
    path = write_dicomdir(tmp_path, [("IM1",)])
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ClipError) as caught:
        list_referenced_files(path)
    assert caught.value.reason == "unreadable-clip"
