"""A hospital in which a patient's name, ids, dates and paths stand wherever a file can hold them.

Names, ids and dates are words that stand nowhere else, so a search finds every copy. A second hospital with other
words in the pictures and headers, but the same ids and key, must leave the same samples and sheets.
"""

from __future__ import annotations

import base64
import csv
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np
import numpy.typing as npt
import pydicom
from made_clips import region, write_dicom
from made_outlines import report
from pydicom.config import disable_value_validation
from pydicom.datadict import DicomDictionary, keyword_for_tag
from pydicom.dataset import Dataset
from small_hospital import HEADER

from client.data.imaging.dicom.header import ALLOWED
from client.data.table.header import COLUMNS
from tests.support.open_policy import open_text

U8 = npt.NDArray[np.uint8]
NAMES = ("QUVZNAME^WEIFANG", "QUVZNAME", "weifang-qz")
HANZI = "張鷗暐"
IDS = ("MRNQZ4711", "LESQZ0815")
DATES = ("19570319", "1957-03-19", "2021-05-06", "20210506")
UID = "1.2.826.0.1.777123456789"
NUMBERS = {"DS": "4711.80815", "IS": "471180815", "TM": "031957.470815", "DT": f"{DATES[0]}031957.470815"}
"""A weight, an age in days, an hour of birth: numbers and times can tell a patient as well."""
MARKERS = (*NAMES, HANZI, *IDS, *DATES, UID, "777123456789", *NUMBERS.values())

ROWS, COLUMNS_PX, FRAMES, TOP, WIDE = 192, 320, 24, 64, 160
OUTLINE = [[62, 116], [98, 116], [98, 152], [62, 152]]
CONTRAST, BMODE = (0, TOP, WIDE, ROWS), (WIDE, TOP, COLUMNS_PX, ROWS)
SITE = f"""\
schema: 1
center: 40
name: Hospital 40
max_skipped: 0.9
screens:
  - {{manufacturer: "*", rows: {ROWS}, columns: {COLUMNS_PX}, contrast: {list(CONTRAST)}, bmode: {list(BMODE)}}}
"""
_PLANTED: dict[str, object] = {
    **dict.fromkeys(("PN", "LO", "SH", "LT", "ST", "UT", "UC", "AE"), NAMES[0]),
    **NUMBERS,
    **{"DA": DATES[0], "UI": UID, "AS": "063Y", "UR": f"http://{IDS[0]}", "OB": f"{IDS[0]} ".encode()},
    "FD": float(NUMBERS["DS"]),
}
"""What stands in a tag, by the kind of its value."""
_KEPT_GROUPS = (0x0000, 0x0002, 0x0004, 0x0028, 0x5200, 0x7FE0, 0xFFFA, 0xFFFC, 0xFFFE)
"""How pixels are read; a marker there would only damage the file."""


def screens(words: str, patient: int = 0) -> list[U8]:
    """Screens (h w 3): words in the banner and in the corners of both panes, beside a sector that moves.

    The liver is the patient's own: the same pictures under two patients would be a leak.
    """
    draw = np.random.default_rng((3, patient))
    y, x = np.mgrid[: ROWS - TOP, :WIDE]
    away, angle = np.hypot(y + 30, x - WIDE / 2), np.arctan2(x - WIDE / 2, y + 30)
    fan = (away > 40) & (away < 150) & (np.abs(angle) < np.deg2rad(33))
    lesion = np.hypot(x - 80, y - 70) < 18
    tissue = cv2.GaussianBlur(draw.integers(0, 255, fan.shape).astype(np.float32), (0, 0), 1.5)
    tissue = ((tissue - 127) * 5 + 110).clip(0, 200)
    liver = cv2.GaussianBlur(draw.integers(0, 255, fan.shape).astype(np.float32), (0, 0), 4.0)
    shade = np.maximum(lesion, (0.3 + (liver - liver.mean()) / (4 * liver.std())).clip(0, 1))
    still = np.zeros((ROWS, COLUMNS_PX, 3), np.uint8)
    for text, place in (
        (words, (4, 20)),
        (words, (150, 40)),
        (words[:6], (2, TOP + 12)),
        (words[:6], (WIDE + 2, TOP + 12)),
    ):
        cv2.putText(still, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1)
    found = []
    for number in range(FRAMES):
        level = 120 * np.exp(-(((number - FRAMES / 2) / 5) ** 2))
        contrast = np.where(fan, shade * level + draw.integers(5, 60, fan.shape), 0)
        bmode = np.where(fan, tissue + draw.integers(0, 20, fan.shape), 0)
        picture = still.copy()
        for box, levels in ((CONTRAST, contrast), (BMODE, bmode)):
            part = picture[box[1] : box[3], box[0] : box[2]]
            part[fan] = np.repeat(levels[..., None], 3, axis=2).clip(0, 255).astype(np.uint8)[fan]
        found.append(picture)
    return found


def _everywhere(data: Dataset, depth: int = 0) -> None:
    """Every text, number, date, time and UID of the dictionary that does not say how pixels are read, nested twice, and
    private.
    """
    for tag, (kind, *_rest) in DicomDictionary.items():
        if tag >> 16 in _KEPT_GROUPS or tag in data or tag & 0xFFFF == 0 or keyword_for_tag(tag) in ("", *ALLOWED):
            continue
        if kind in _PLANTED:
            data.add_new(tag, kind, _PLANTED[kind])
    data.PatientName = f"{NAMES[0]}={HANZI}"
    block = data.private_block(0x0011, IDS[0], create=True)
    block.add_new(0x01, "LO", NAMES[1])
    block.add_new(0x02, "UN", HANZI.encode())
    if depth < 2:
        inner = Dataset()
        _everywhere(inner, depth + 1)
        data.RequestAttributesSequence = [inner]
        block.add_new(0x03, "SQ", [Dataset(inner)])


def _dicom(path: Path, pictures: list[U8], packed: bool, stated: bool) -> None:
    tags = {"FrameTime": 500.0, "Manufacturer": NAMES[1], "SpecificCharacterSet": "ISO_IR 192"}
    if stated:
        regions = [region(CONTRAST), region(BMODE)]
        for one in regions:
            one.PatientName = NAMES[0]
            one.private_block(0x0009, IDS[0], create=True).add_new(1, "LO", NAMES[1])
        tags["SequenceOfUltrasoundRegions"] = regions
    if packed:
        frames = [_commented(cv2.imencode(".jpg", picture[:, :, ::-1])[1].tobytes()) for picture in pictures]
        more = {"Rows": ROWS, "Columns": COLUMNS_PX, "NumberOfFrames": FRAMES}
        write_dicom(path, frames, "YBR_FULL_422", tags | more, "1.2.840.10008.1.2.4.50")
    else:
        write_dicom(path, np.stack(pictures), "RGB", tags)
    data = pydicom.dcmread(path)
    data.file_meta.ImplementationVersionName = IDS[0]
    data.file_meta.SourceApplicationEntityTitle = IDS[1]
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = f"{UID}.1"
    with disable_value_validation():
        _everywhere(data)
        data.save_as(path)
    with path.open("ab") as file:
        file.write(NAMES[0].encode())


def _commented(jpeg: bytes) -> bytes:
    """With a comment and EXIF in front of the picture."""
    words = f"{NAMES[0]} {DATES[1]} {HANZI}".encode()
    exif = b"Exif\0\0" + b"II*\0\x08\0\0\0\0\0" + words
    parts = [
        b"\xff" + kind + struct.pack(">H", 2 + len(body)) + body for kind, body in ((b"\xfe", words), (b"\xe1", exif))
    ]
    return jpeg[:2] + b"".join(parts) + jpeg[2:]


def _video(path: Path, pictures: list[U8]) -> None:
    code = {".avi": "MJPG", ".mp4": "mp4v"}[path.suffix]
    plain = path.with_name(f"plain{path.suffix}")
    writer = cv2.VideoWriter(str(plain), cv2.VideoWriter_fourcc(*code), 10.0, (COLUMNS_PX, ROWS))
    for picture in pictures:
        writer.write(np.ascontiguousarray(picture[:, :, ::-1]))
    writer.release()
    content = plain.read_bytes()
    plain.unlink()
    words = f"{NAMES[0]} {IDS[0]} {DATES[1]}".encode() + b"\0"
    if path.suffix == ".avi":
        words += b"\0" * (len(words) % 2)
        info = b"INFO" + b"".join(kind + struct.pack("<I", len(words)) + words for kind in (b"INAM", b"IART", b"ICMT"))
        chunk = b"LIST" + struct.pack("<I", len(info)) + info
        content = b"RIFF" + struct.pack("<I", len(content) + len(chunk) - 8) + content[8:] + chunk
    else:
        named = struct.pack(">I4sHH", 12 + len(words), b"\xa9nam", len(words), 0) + words
        content += struct.pack(">I4s", 8 + len(named), b"udta") + named
    path.write_bytes(content)


def _report(path: Path) -> None:
    """The outline as a structured report, with a patient in its header, in each of its items and as an observer."""
    data = pydicom.dcmread(report(path, OUTLINE, 8))
    data.PatientID, data.AccessionNumber = IDS
    items = [data]
    for item in items:
        items += item.get("ContentSequence") or []
        with disable_value_validation():
            _everywhere(item, 2)
    observer = Dataset()
    observer.RelationshipType, observer.ValueType, observer.PersonName = (
        "HAS OBS CONTEXT",
        "PNAME",
        f"{NAMES[0]}={HANZI}",
    )
    told = Dataset()
    told.RelationshipType, told.ValueType, told.TextValue = "CONTAINS", "TEXT", f"{NAMES[1]} {IDS[0]} {DATES[1]}"
    data.ContentSequence += [observer, told]
    data.SpecificCharacterSet = "ISO_IR 192"
    with disable_value_validation():
        data.save_as(path)


def _outline(path: Path) -> None:
    shape = {"label": "lesion", "points": OUTLINE, "shape_type": "polygon"}
    shape |= {"description": NAMES[0], "flags": {IDS[0]: True}, "group_id": None}
    picture = base64.b64encode(f"{NAMES[0]}{IDS[0]}".encode()).decode()
    document = {"shapes": [shape], "imageHeight": ROWS, "imageWidth": COLUMNS_PX, "imageData": picture}
    document |= {"imagePath": f"../{HANZI}_{DATES[0]}/{NAMES[1]}.png", "flags": {NAMES[1]: True}, "version": IDS[1]}
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


KINDS = ("native.dcm", "packed.dcm", "stated.dcm", "reported.dcm", "film.avi", "film.mp4")
SPOILT = ("fail.dcm", "crash.dcm", "broken.dcm", "broken.avi")


def write_planted(
    folder: Path, words: str = "QUVZNAME WEIFANG 19570319", kinds: tuple[str, ...] = KINDS + SPOILT
) -> Path:
    """The hospital: a good lesion of every kind, files that go wrong, and rows that hold names in every cell."""
    store, outlines = (folder / part / f"{HANZI}_{NAMES[1]}_{DATES[0]}" for part in ("clips", "outlines"))
    store.mkdir(parents=True)
    outlines.mkdir(parents=True)
    (folder / "site.yaml").write_text(SITE, encoding="utf-8")
    (folder / "policy.yaml").write_text(open_text(), encoding="utf-8")
    (folder / "secret.key").write_bytes(b"k" * 32)
    (folder / "secret.key").chmod(0o600)
    rows = [
        _written(folder, store / f"{DATES[3]}_{IDS[1]}_{kind}", screens(words, (*KINDS, *SPOILT).index(kind)), outlines)
        for kind in kinds
    ]
    for column, cell in (
        ("fll_type", NAMES[0]),
        ("ALB", HANZI),
        ("exam_date", f"{NAMES[1]} 1957"),
        ("clips", "x/QUVZNAME.dcm"),
    ):
        rows.append(rows[0] | {"lesion_id": f"{IDS[1]}-{column}", column: cell})
    with (folder / "lesions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*HEADER, "patient name", HANZI])
        writer.writerows([[*(row.get(name, "") for name in COLUMNS), NAMES[0], HANZI] for row in rows])
    reads = [["lesion_id", "reader", "role", "assisted", "diagnosis", "seconds (s)"]]
    reads += [[IDS[1], NAMES[1], NAMES[1], "no", HANZI, "12"]]
    with (folder / "reads.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(reads)
    return folder


def _written(folder: Path, clip: Path, pictures: list[U8], outlines: Path) -> dict[str, str]:
    kind = clip.name.rsplit("_", 1)[1]
    if kind.startswith("broken"):
        clip.write_bytes(f"RIFF{NAMES[0]}DICM{IDS[0]}".encode() * 50)
    elif clip.suffix == ".dcm":
        shades = [
            np.roll(picture, 0) for picture in pictures[: FRAMES - SPOILT.index(kind) if kind in SPOILT else FRAMES]
        ]
        _dicom(clip, shades if len(shades) == FRAMES else pictures, kind == "packed.dcm", kind == "stated.dcm")
    else:
        _video(clip, pictures)
    with clip.open("ab") as file:  # copies of one clip under several patients would be a leak
        file.write(struct.pack(">I4s", 8 + len(kind), b"free") + kind.encode())
    outline = outlines / f"{NAMES[1]}_{kind}{'' if kind == 'reported.dcm' else '.json'}"
    write = _report if kind == "reported.dcm" else _outline
    write(outline)
    row = {"lesion_id": f"{IDS[1]}-{kind}", "patient_id": f"{IDS[0]}-{kind}", "exam_date": DATES[2], "fll_type": "HM"}
    row |= {"clips": clip.relative_to(folder).as_posix(), "clip_start_s": "5", "frame_rate_hz": "2", "ALB": "40"}
    return row | {"outline": outline.relative_to(folder).as_posix(), "outline_frame": "8", "outline_pane": "screen"}


def spellings(marker: str) -> Iterator[bytes]:
    """A marker as it might stand in a file, folded to lower case as `found_in` folds what it searches."""
    texts = {marker, marker.replace("^", " "), marker.upper(), quote(marker), json.dumps(marker)[1:-1], marker[::-1]}
    for text in texts:
        for encoding in ("utf-8", "utf-16-le", "utf-16-be", "gb18030"):
            content = text.encode(encoding)
            yield content.lower()
            yield content.hex().encode()
            for shift in range(3):  # base64 of a text depends on where in a longer one it begins
                coded = base64.b64encode(b"\0" * shift + content)
                yield coded[2 + 4 * (shift > 0) : 4 * (len(coded) // 4) - 4].lower()


def found_in(content: bytes) -> list[str]:
    """The markers that a file holds in any spelling."""
    folded = content.lower()
    return [marker for marker in MARKERS if any(len(word) > 5 and word in folded for word in spellings(marker))]
