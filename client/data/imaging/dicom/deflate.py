"""Deflated DICOM (PS3.5 A.5): everything after the file's first group is Deflate (RFC 1951), unpacked up to a limit."""

from __future__ import annotations

import os
import weakref
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import ExplicitVRLittleEndian

from client.data.imaging.recording import unreadable

DEFLATED = "1.2.840.10008.1.2.1.99"
_PREAMBLE = 132
_GROUP_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"
_CHUNK = 1 << 20
_MOST_BYTES = 1 << 30
"""A thousand frames of 600 x 500 in RGB; a stream can claim a thousand times its own size."""


class MemoryFile:
    """A file in memory alone, since an unpacked clip shows whole screens and is never written to a disk.

    Gone with the last reference to it. `path` opens it like any file, in this process.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        """Holds the chunks one after the other. What the chunks raise passes."""
        descriptor = os.memfd_create("clip")
        weakref.finalize(self, os.close, descriptor)
        self.path = Path(f"/proc/self/fd/{descriptor}")
        with os.fdopen(os.dup(descriptor), "wb") as file:
            for chunk in chunks:
                file.write(chunk)


def inflated(path: Path) -> MemoryFile:
    """The same file in explicit little endian, in memory. Raises ClipError."""
    return MemoryFile(_chunks(path))


def _chunks(path: Path) -> Iterator[bytes]:
    """The file's head and its unpacked rest."""
    yield _head()
    with path.open("rb") as file:
        file.seek(_start(file.read(_PREAMBLE + 12)))
        try:
            yield from _unpacked(file)
        except (OSError, zlib.error) as error:
            raise unreadable("DICOM", f"damaged compression ({type(error).__name__})") from None


def _unpacked(file: BinaryIO) -> Iterator[bytes]:
    stream, written = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while not stream.eof and (packed := stream.unconsumed_tail or file.read(_CHUNK)):
        plain = stream.decompress(packed, _CHUNK)
        written += len(plain)
        if written > _MOST_BYTES:
            raise unreadable("DICOM", "a deflated file of more than 1 GiB")
        yield plain
    if not stream.eof:
        raise unreadable("DICOM", "a deflated file that is cut off")


def _start(head: bytes) -> int:
    """Where the stream starts: after the group that the file's first element gives the length of."""
    if head[_PREAMBLE : _PREAMBLE + 8] != _GROUP_LENGTH:
        raise unreadable("DICOM", "a deflated file without the length of its first group")
    return _PREAMBLE + 12 + int.from_bytes(head[_PREAMBLE + 8 :], "little")


def _head() -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = DicomBytesIO()
    buffer.write(bytes(_PREAMBLE - 4) + b"DICM")
    write_file_meta_info(buffer, meta, enforce_standard=False)
    return buffer.getvalue()
