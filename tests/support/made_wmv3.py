"""A WMV3 (VC-1 simple profile, SMPTE 421M) video written bit by bit: mosaics of flat blocks whose levels are known.

No free encoder writes VC-1. Pictures of flat 8 x 8 blocks need of the format only its headers and differences of the
blocks' means: a difference of 0 to 7 levels to the block on the left or above, whichever the format predicts from.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

Levels = npt.NDArray[np.int64]
BLOCK = 8
_GREY = 128
"""What blocks at the rim are predicted from."""
_LUMA = ((1, 1), (1, 2), (1, 4), (1, 5), (5, 5), (7, 5), (8, 6), (12, 6))
"""Code and length of a difference of 0 to 7 (table 171, low motion); a sign follows all but the first."""
_CHROMA_OF_NONE = (0, 2)


class Bits:
    """A stream of bits, the highest first."""

    def __init__(self) -> None:
        self.text = ""

    def put(self, value: int, length: int) -> None:
        self.text += f"{value:0{length}b}"

    def bytes(self) -> bytes:
        whole = self.text + "0" * (-len(self.text) % 8)
        return int(whole, 2).to_bytes(len(whole) // 8, "big")


def sequence_header() -> bytes:
    """STRUCT_C: simple profile, no B pictures, quantiser told by its index; 32 bits."""
    bits = Bits()
    for value, length in ((0, 4), (0, 3), (0, 5), (0, 1), (0, 1), (0, 1), (1, 1), (1, 1), (0, 1), (0, 2), (0, 1)):
        bits.put(
            value, length
        )  # profile, rates, loop filter, x8, multi-res, fast transform, fast chroma, mv, dquant, vs
    for value, length in ((0, 1), (0, 1), (0, 1), (0, 1), (0, 3), (0, 2), (0, 1), (1, 1)):
        bits.put(value, length)  # table, overlap, sync marker, range, B pictures, quantiser, interpolation, release
    return bits.bytes()


def picture(levels: Levels) -> bytes:
    """An I picture of blocks (rows columns), both even, of these levels."""
    bits = Bits()
    for value, length in ((0, 2), (0, 1), (0, 7), (4, 5), (0, 1), (0, 1), (0, 1), (0, 1)):
        bits.put(value, length)  # count, type I, buffer, quantiser 4, no half step, tables of AC (2), table of DC
    for row in range(0, levels.shape[0], 2):
        for column in range(0, levels.shape[1], 2):
            bits.put(1, 1)  # no block has AC
            bits.put(0, 1)  # nor prediction of AC
            for place in ((row, column), (row, column + 1), (row + 1, column), (row + 1, column + 1)):
                _difference(bits, int(levels[place]) - predicted(levels, *place))
            for _ in range(2):
                bits.put(*_CHROMA_OF_NONE)
    return bits.bytes()


def predicted(levels: Levels, row: int, column: int) -> int:
    """What a block is predicted from: the one on the left or above, to which the other two differ less."""
    above = int(levels[row - 1, column]) if row else _GREY
    left = int(levels[row, column - 1]) if column else _GREY
    corner = int(levels[row - 1, column - 1]) if row and column else _GREY
    return left if abs(above - corner) <= abs(corner - left) else above


def _difference(bits: Bits, value: int) -> None:
    bits.put(*_LUMA[abs(value)])
    if value:
        bits.put(int(value < 0), 1)


def luma(levels: Levels) -> Levels:
    """What a decoder shows for the levels of blocks: the step of 8, then the transform of a mean (8.4, annex A)."""
    return np.asarray((12 * ((12 * 8 * levels + 4) >> 3) + 64) >> 7)


def write_wmv3(path: Path, mosaics: Sequence[Levels], rate: int = 10) -> None:
    """An AVI file of mosaics of blocks (rows columns)."""
    rows, columns = (side * BLOCK for side in mosaics[0].shape)
    frames = [picture(levels) for levels in mosaics]
    form = struct.pack("<IiiHH4sIiiII", 44, columns, rows, 1, 24, b"WMV3", 0, 0, 0, 0, 0) + sequence_header()
    kind = struct.pack("<4s4sIHHI", b"vids", b"WMV3", 0, 0, 0, 0)
    stream = kind + struct.pack("<7I4h", 1, rate, 0, len(frames), 1 << 16, 0, 0, 0, 0, columns, rows)
    main = struct.pack("<14I", 1_000_000 // rate, 0, 0, 16, len(frames), 0, 1, 1 << 16, columns, rows, 0, 0, 0, 0)
    header = _chunk(b"avih", main) + _chunk(b"LIST", b"strl" + _chunk(b"strh", stream) + _chunk(b"strf", form))
    chunks, index, place = b"", b"", 4
    for frame in frames:
        chunk = _chunk(b"00dc", frame)
        index += struct.pack("<4sIII", b"00dc", 16, place, len(frame))
        chunks, place = chunks + chunk, place + len(chunk)
    body = _chunk(b"LIST", b"hdrl" + header) + _chunk(b"LIST", b"movi" + chunks) + _chunk(b"idx1", index)
    path.write_bytes(_chunk(b"RIFF", b"AVI " + body))


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
