"""What a file is, by its first bytes: names and suffixes of exports say little."""

from __future__ import annotations

from pathlib import PurePath

from client.data.imaging.clip import READERS

DICOM, VIDEO, OTHER_VIDEO = "DICOM", "video", "video of a format that is not read"
PICTURE, DOCUMENT, ARCHIVE, EMPTY, OTHER = "picture", "document", "archive", "empty file", "other file"
DAMAGED = "named like a clip, but none"
HEAD_BYTES = 512

_BEGINNINGS = (
    (b"%PDF", DOCUMENT),
    (b"\xd0\xcf\x11\xe0", DOCUMENT),
    (b"{\\rtf", DOCUMENT),
    (b"\x1f\x8b", ARCHIVE),
    (b"Rar!", ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", ARCHIVE),
    (b"BZh", ARCHIVE),
    (b"\xfd7zXZ", ARCHIVE),
    (b"\xff\xd8\xff", PICTURE),
    (b"\x89PNG", PICTURE),
    (b"GIF8", PICTURE),
    (b"BM", PICTURE),
    (b"II*\0", PICTURE),
    (b"MM\0*", PICTURE),
    (b"\x1a\x45\xdf\xa3", OTHER_VIDEO),
    (b"\0\0\x01\xba", OTHER_VIDEO),
    (b"\0\0\x01\xb3", OTHER_VIDEO),
    (b"FLV\x01", OTHER_VIDEO),
)
_OFFICE = (".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp")
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")
_STILL_BRANDS = (b"heic", b"heix", b"mif1", b"avif")
_CLIP_SUFFIXES = tuple(suffix for suffix in READERS if suffix)
_FIRST_GROUPS = (b"\x02\0", b"\x08\0")
"""Of a DICOM file without its preamble: the file's meta information, or the identification."""


def classify_file(name: str, head: bytes) -> str:
    """One of the words of this module. head: the first HEAD_BYTES of the file."""
    suffix = PurePath(name).suffix.lower()
    if head[128:132] == b"DICM" or _is_bare_dicom(head):
        return DICOM
    if find_video_suffix(name, head):
        return VIDEO
    if head.startswith(b"PK\x03\x04"):
        return DOCUMENT if suffix in _OFFICE else ARCHIVE
    known = next((kind for beginning, kind in _BEGINNINGS if head.startswith(beginning)), "")
    if known:
        return known
    if head[4:8] == b"ftyp":
        return PICTURE
    if suffix in _CLIP_SUFFIXES:
        return DAMAGED
    return DOCUMENT if _is_text(head) else OTHER


def find_video_suffix(name: str, head: bytes) -> str:
    """The suffix by which a video is opened, "" for what is none of ours."""
    suffix = PurePath(name).suffix.lower()
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return ".avi"
    if head.startswith(_ASF):
        return ".wmv"
    if head[4:8] in _BOXES and head[8:12] not in _STILL_BRANDS:
        return suffix if suffix in (".mp4", ".m4v", ".mov") else ".mp4"
    return ""


def _is_bare_dicom(head: bytes) -> bool:
    """Whether it begins with an element of a DICOM file's first group, with or without a stated VR."""
    if head[:2] not in _FIRST_GROUPS or len(head) < 16 or head[3] != 0:
        return False
    return (head[4:6].isalpha() and head[4:6].isupper()) or int.from_bytes(head[4:8], "little") < 128


def _is_text(head: bytes) -> bool:
    return bool(head) and not any(byte < 9 or 13 < byte < 32 for byte in head)
