"""A hospital's folder for a node that does not see it: what its site reads, without clips and outlines."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

_FILMS = ("clips", "outlines")
"""Only indexing reads them; a site's samples are in its cache."""


def pack_site(folder: Path) -> bytes:
    """The folder as an uncompressed tar; links are packed as what they lead to."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", dereference=True) as archive:
        for path in sorted(folder.iterdir()):
            if path.name not in _FILMS:
                archive.add(path, path.name)
    return content.getvalue()


def unpack_site(content: bytes, folder: Path) -> None:
    """Write the packed files below `folder`, which is made."""
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(folder, filter="data")


class FolderMark:
    """A file beside the hospitals for as long as a run lasts: a node that sees it shares their file system."""

    def __init__(self, folders: Mapping[str, Path], name: str) -> None:
        """Write an empty file `name` into each folder that holds hospitals."""
        self.paths = tuple(sorted({folder.parent / name for folder in folders.values()}))
        for path in self.paths:
            path.touch()

    def remove(self) -> None:
        """Delete the files."""
        for path in self.paths:
            path.unlink(missing_ok=True)
