"""What a file is, by its bytes and not by its name."""

from __future__ import annotations

import pytest

from client.data.scan.file_kinds import (
    ARCHIVE,
    DAMAGED,
    DICOM,
    DOCUMENT,
    OTHER,
    OTHER_VIDEO,
    PICTURE,
    VIDEO,
    classify_file,
    find_video_suffix,
)

AVI = b"RIFF\x10\0\0\0AVI LIST"
MP4 = b"\0\0\0\x18ftypisom\0\0\0\0"


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("IM1", bytes(128) + b"DICM\x02\0", DICOM),
        ("IM1.avi", bytes(128) + b"DICM\x02\0", DICOM),
        ("bare", b"\x08\0\x05\0CS\x0a\0ISO_IR 100", DICOM),
        ("bare", b"\x08\0\x16\0\x1a\0\0\x001.2.840.10008", DICOM),
        ("a.dat", AVI, VIDEO),
        ("a", MP4, VIDEO),
        ("photo.heic", b"\0\0\0\x18ftypheic\0\0\0\0", PICTURE),
        ("a.mkv", b"\x1a\x45\xdf\xa3\0\0", OTHER_VIDEO),
        ("a.mpg", b"\0\0\x01\xba\0\0", OTHER_VIDEO),
        ("a.jpg", b"\xff\xd8\xff\xe0", PICTURE),
        ("report.pdf", b"%PDF-1.7", DOCUMENT),
        ("table.xlsx", b"PK\x03\x04\0", DOCUMENT),
        ("all.zip", b"PK\x03\x04\0", ARCHIVE),
        ("clip.dcm.gz", b"\x1f\x8b\x08", ARCHIVE),
        ("clip.dcm", b"rubbish", DAMAGED),
        ("clip.avi", b"\x80\x01rubbish", DAMAGED),
        ("notes.txt", "王".encode("gb18030"), DOCUMENT),
        ("Thumbs.db", b"\x01\x02\x03", OTHER),
    ],
)
def test_kinds(name: str, head: bytes, kind: str) -> None:
    assert classify_file(name, head) == kind


@pytest.mark.parametrize(
    ("name", "head", "suffix"),
    [("x.mov", MP4, ".mov"), ("x.bin", MP4, ".mp4"), ("x.mp4", AVI, ".avi"), ("x.avi", b"text", "")],
)
def test_a_video_is_opened_by_its_container(name: str, head: bytes, suffix: str) -> None:
    assert find_video_suffix(name, head) == suffix
