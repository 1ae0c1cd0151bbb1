"""One compressed DICOM frame to its samples, by the codecs of imagecodecs (docs/decisions.md says why these).

Before a codec sees a frame, the size in its own header is compared with the file's: no codec allocates memory for
a size that the file does not state.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt

from client.data.imaging.recording import colours_error, unreadable_error

Samples = npt.NDArray[Any]
"""u8 or u16, (h w) or (h w 3)."""

_JPEG_END, _TAIL = b"\xff\xd9", 8  # real files pad with anything
_CODESTREAM = b"\xff\x4f\xff\x51"
_FRAME_HEADERS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""Markers of JPEG (SOF) and JPEG-LS (SOF55) that are followed by the size of the picture."""
_LOSSLESS = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
_BASELINE = 0xC0
_SCAN = 0xDA


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """What the DICOM header says of a frame.

    Attributes:
        bits: Bits allocated for a sample.
        rgb: Whether the colours are stated as RGB.
    """

    rows: int
    columns: int
    samples: int
    bits: int
    rgb: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array that a frame becomes."""
        return (self.rows, self.columns) if self.samples == 1 else (self.rows, self.columns, self.samples)


@dataclass(frozen=True, slots=True)
class Codec:
    """A decoder of one transfer syntax.

    Attributes:
        decode: Turns the bytes of a frame into samples, which it may put into the given array.
        to_rgb: Whether the codec converts YBR to RGB itself.
    """

    decode: Callable[[bytes, PixelFormat, Samples | None], Samples]
    to_rgb: bool


def decode_frame(codec: Codec, data: bytes, form: PixelFormat, room: Samples | None = None) -> Samples:
    """The samples of one frame. Raises ClipError.

    room: an array of its shape that they may be put into; getting fresh memory costs a tenth of decoding a JPEG.
    """
    try:
        samples = codec.decode(data, form, room)
    except (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError, struct.error) as error:
        # a codec may raise any of these on damaged data; none of its text may pass
        raise unreadable_error("DICOM", f"damaged pixel data ({type(error).__name__})") from None
    if samples.shape != form.shape or samples.dtype.itemsize > 2:
        raise unreadable_error("DICOM", "a frame of another size or depth than the header says")
    return samples


def _decode_jpeg(data: bytes, form: PixelFormat, room: Samples | None) -> Samples:
    """JPEG with 8 or 12 bits, and lossless JPEG. The colours are what the JPEG says, else what DICOM says."""
    kind, size, head = _parse_jpeg_header(data)
    _check_size(size, form)
    if _JPEG_END not in data.rstrip(b"\0")[-_TAIL:]:
        raise unreadable_error("DICOM", "a JPEG frame that is cut off")
    told = b"JFIF" in head or b"Adobe" in head or kind in _LOSSLESS or form.samples == 1
    if not told and form.rgb and _is_subsampled(data, len(head)):
        raise colours_error(
            "PhotometricInterpretation", "RGB", "a JPEG with less resolution in two components, as only YBR has"
        )
    space = None if told else ("rgb" if form.rgb else "ycbcr")
    room = room if kind == _BASELINE else None
    return imagecodecs.jpeg8_decode(data, colorspace=space, outcolorspace=None if told else "rgb", out=room)


def _decode_jpeg_ls(data: bytes, form: PixelFormat, room: Samples | None) -> Samples:
    _check_size(_parse_jpeg_header(data)[1], form)
    return imagecodecs.jpegls_decode(data)


def _decode_jpeg_2000(data: bytes, form: PixelFormat, room: Samples | None) -> Samples:
    """Also of the high-throughput kind: OpenJPH is twice as fast there, but lets damaged frames pass in silence."""
    _check_size(_parse_codestream_size(data), form)
    return imagecodecs.jpeg2k_decode(data, numthreads=1)


def _decode_rle(data: bytes, form: PixelFormat, room: Samples | None) -> Samples:
    """Segments of runs (PS3.5 Annex G): a plane of bytes a sample, the high byte of 16 bits first."""
    count = struct.unpack("<L", data[:4])[0]
    if count != form.samples * form.bits // 8:
        raise unreadable_error("DICOM", "an RLE frame of another depth than the header says")
    plain = imagecodecs.dicomrle_decode(data, "u1" if form.bits == 8 else "<u2")
    planes = np.frombuffer(plain, dtype="u1" if form.bits == 8 else "<u2")
    planes = planes[: form.samples * form.rows * form.columns].reshape(form.samples, form.rows, form.columns)
    return planes[0] if form.samples == 1 else planes.transpose(1, 2, 0)


CODECS: Mapping[str, Codec] = {
    "1.2.840.10008.1.2.5": Codec(_decode_rle, False),
    **{f"1.2.840.10008.1.2.4.{n}": Codec(_decode_jpeg, True) for n in (50, 51)},
    **{f"1.2.840.10008.1.2.4.{n}": Codec(_decode_jpeg, False) for n in (57, 70)},
    **{f"1.2.840.10008.1.2.4.{n}": Codec(_decode_jpeg_ls, False) for n in (80, 81)},
    **{f"1.2.840.10008.1.2.4.{n}": Codec(_decode_jpeg_2000, True) for n in (90, 91, 201, 202, 203)},
}
"""Transfer syntax → codec. The video syntaxes are in `dicom`, the uncompressed ones are pydicom's."""


def _check_size(size: tuple[int, int], form: PixelFormat) -> None:
    if size != (form.rows, form.columns):
        raise unreadable_error("DICOM", "a frame of another size than the header says")


def _parse_jpeg_header(data: bytes) -> tuple[int, tuple[int, int], bytes]:
    """Marker of the frame header, (rows, columns), and the bytes before it."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAME_HEADERS:
            rows, columns = struct.unpack(">HH", data[at + 5 : at + 9])
            return marker, (rows, columns), data[:at]
        if marker == _SCAN:
            break
        # a marker may be preceded by any number of fill bytes
        at += 1 if marker == 0xFF else 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    raise unreadable_error("DICOM", "a JPEG frame without a header")


def _is_subsampled(data: bytes, at: int) -> bool:
    """Whether the components of the frame header at this place have different sampling factors (T.81 B.2.2)."""
    count = data[at + 9]
    factors = data[at + 11 : at + 10 + 3 * count : 3]
    return len(set(factors)) > 1


def _parse_codestream_size(data: bytes) -> tuple[int, int]:
    at = data.find(_CODESTREAM, 0, 4096)
    if at < 0 or len(data) < at + 24:
        raise unreadable_error("DICOM", "a JPEG 2000 frame without a header")
    right, bottom, left, top = struct.unpack(">4L", data[at + 8 : at + 24])
    return bottom - top, right - left
