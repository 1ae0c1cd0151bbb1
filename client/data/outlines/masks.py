"""Outlines as painted masks: PNG of one frame, and NIfTI of a whole clip as ITK-SNAP and 3D Slicer save it."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import cv2
import nibabel
import numpy as np
import numpy.typing as npt

from client.data.outlines.annotation import (
    MAX_SIDE_PX,
    Drawing,
    OutlineError,
    Wanted,
    check_sides,
    malformed_error,
    many_frames_error,
    missing_error,
    read_bytes,
    trace_contour,
)

MAX_NIFTI_BYTES = 4 * 2**30
"""Unpacked: a clip of 1,000 frames of 800 x 600 in 64 bits. It is read frame by frame."""
MAX_FRAMES = 100_000
_SMOOTHED_SHARE = 0.02
"""Of a mask's pixels may lie between its two levels, where a tool smooths the border."""
_NIFTI_HEADERS: dict[int, Any] = {348: nibabel.Nifti1Header, 540: nibabel.Nifti2Header}


def read_png(path: Path, wanted: Wanted) -> Drawing:
    """The lesion of a mask PNG. It states no frame. Raises OutlineError."""
    mask = decode_png(read_bytes(path))
    return Drawing(trace_contour(mask), (mask.shape[0], mask.shape[1]), None)


def decode_png(content: bytes) -> npt.NDArray[np.bool_]:
    """Inside (h w) of a mask PNG: 0 outside, one other level inside. Raises OutlineError."""
    columns, rows = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    if not content.startswith(b"\x89PNG") or not 0 < max(rows, columns) <= MAX_SIDE_PX:
        raise malformed_error(f"a mask is a PNG of at most {MAX_SIDE_PX} pixels a side", "something else")
    try:
        mask = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    except cv2.error:
        mask = None
    if mask is None:
        raise malformed_error("a mask is a complete PNG", "a damaged one")
    return _binarize(mask)


def read_nifti(path: Path, wanted: Wanted) -> Drawing:
    """The lesion of a NIfTI mask with axes (x, y, frame), frames counting from 0. Raises OutlineError.

    Without the table's frame the only painted one is taken. A mask of one frame states none.
    """
    with _open_file(path) as file:
        try:
            return _read_nifti_file(file, wanted.frame)
        except OutlineError:
            raise
        except (OSError, EOFError, zlib.error):
            raise malformed_error("a NIfTI file is complete", "a damaged one") from None
        except Exception as error:  # nibabel raises a dozen types for damaged headers; none of its text may pass
            raise malformed_error("a NIfTI file has its header", type(error).__name__) from None


def _read_nifti_file(file: IO[bytes], wanted: int | None) -> Drawing:
    columns, rows, frames, kind = _parse_nifti_header(file)
    chosen: npt.NDArray[Any] | None = None
    painted: list[int] = []
    for frame in range(frames):
        content = file.read(rows * columns * kind.itemsize)
        if len(content) < rows * columns * kind.itemsize:
            raise malformed_error("a NIfTI file is complete", f"{frame} of {frames} frames")
        if not np.frombuffer(content, np.uint8).any():
            continue
        painted.append(frame)
        if chosen is None or frame == wanted:
            # x runs fastest in the file, so a frame's bytes are its rows: this is the transpose.
            chosen = np.frombuffer(content, kind).reshape(rows, columns)
    if chosen is None:
        raise OutlineError("empty-outline", "a mask is painted on one frame", "nothing painted", "paint the mask again")
    if len(painted) > 1 and wanted not in painted:
        raise many_frames_error(len(painted))
    frame = wanted if wanted in painted else painted[0]
    return Drawing(trace_contour(_binarize(chosen)), (rows, columns), None if frames == 1 else frame)


def _parse_nifti_header(file: IO[bytes]) -> tuple[int, int, int, np.dtype[Any]]:
    """Columns, rows, frames and type of the numbers, with the file placed at the first of them."""
    first = file.read(4)
    sizes = {int.from_bytes(first, order) for order in ("little", "big")}
    size = next((size for size in _NIFTI_HEADERS if size in sizes), None)
    if size is None:
        raise malformed_error("a NIfTI file in one piece (.nii or .nii.gz)", "something else")
    header: Any = _NIFTI_HEADERS[size](first + file.read(size - 4))
    sides = [int(side) for side in header.get_data_shape()]
    sides = [*sides[:2], *(side for side in sides[2:] if side != 1)]  # ITK-SNAP writes x, y, 1, frame too
    columns, rows, frames = (*sides, 1)[:3]
    kind = header.get_data_dtype()
    check_sides(rows, columns)
    unpacked = rows * columns * max(frames, 1) * kind.itemsize
    if len(sides) > 3 or not 1 <= frames <= MAX_FRAMES or unpacked > MAX_NIFTI_BYTES or kind.kind not in "iufb":
        raise malformed_error(
            f"a NIfTI mask of numbers with axes x, y, frame and at most {MAX_NIFTI_BYTES // 2**30} GiB", "another form"
        )
    skipped = (int(header["vox_offset"]) or size + 4) - size
    if not 0 <= skipped <= 2**20 or len(file.read(skipped)) < skipped:
        raise malformed_error("a NIfTI file has its pixels behind its header", "another place")
    return columns, rows, frames, kind


def _binarize(mask: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Inside (h w): the upper of a mask's two levels. Raises OutlineError for labels, pictures and odd numbers."""
    top = mask.max()
    between = (mask != 0) & (mask != top)
    allowed = _SMOOTHED_SHARE if mask.dtype.kind == "u" and top > 127 else 0.0
    if not np.isfinite(top) or top < 0 or between.mean() > allowed:
        raise malformed_error("a mask has one level inside the lesion and 0 outside", "several levels")
    return np.asarray(mask > top / 2)


@contextmanager
def _open_file(path: Path) -> Iterator[IO[bytes]]:
    """A file, unpacked as it is read where it is packed."""
    packed = path.name.casefold().endswith(".gz")
    with ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("rb"))
        except OSError:
            raise missing_error() from None
        whole: Any = stack.enter_context(gzip.GzipFile(fileobj=file)) if packed else file
        yield whole
