"""Deflated files read like others, within bounds."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from made_clips import moving_disc, write_dicom
from pydicom.data import get_testdata_file
from pydicom.uid import DeflatedExplicitVRLittleEndian

from client.data.imaging.clip import ClipError
from client.data.imaging.dicom import deflate, reader


def test_a_deflated_file_is_exact(tmp_path: Path) -> None:
    rgb = moving_disc(4)
    path = write_dicom(tmp_path / "a.dcm", rgb, "RGB", {"FrameTime": 100.0}, DeflatedExplicitVRLittleEndian)
    assert np.array_equal(np.stack(list(reader.open(path).pictures())), rgb)
    real = reader.open(Path(str(get_testdata_file("image_dfl.dcm", download=False))))
    assert next(real.pictures()).shape == (512, 512, 3)


def test_a_stream_that_grows_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_dicom(tmp_path / "a.dcm", moving_disc(4), "RGB", {}, DeflatedExplicitVRLittleEndian)
    content = path.read_bytes()
    start = deflate._PREAMBLE + 12 + int.from_bytes(content[deflate._PREAMBLE + 8 :][:4], "little")
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bomb = packer.compress(bytes(64 << 20)) + packer.flush()
    path.write_bytes(content[:start] + bomb)
    monkeypatch.setattr(deflate, "_MOST_BYTES", 8 << 20)
    with pytest.raises(ClipError, match="more than 1 GiB"):
        reader.open(path)
    path.write_bytes(content[:-500])
    with pytest.raises(ClipError, match="cut off"):
        reader.open(path)
