"""Digests of the files of a folder in a file of its own, so that a byte that is lost or changed anywhere is named.

The list has the form of `sha256sum`, which can check it too; a comment at its end holds the list's own digest. It
finds damage and mix-ups, not a forger, who would write a new list: against one the fingerprint is compared by another
way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from ceus_models.runtime.errors import ExpectedError

SEAL_FILE = "SHA256SUMS"
_OWN = "# SHA-256 of the lines above: "


class BrokenSeal(ExpectedError):
    """A folder that is not as it was sealed. files: names of those that are missing or altered."""

    def __init__(self, told: str, files: tuple[str, ...]) -> None:
        """told: what is wrong, and the remedy."""
        super().__init__(told)
        self.files = files


def seal(folder: Path, names: Iterable[str]) -> str:
    """Write the list of these files of a folder; its digest."""
    text = _listed({name: _digest(folder / name) for name in names})
    (folder / SEAL_FILE).write_bytes(text)
    return _fingerprint(text)


def sealed(folder: Path, names: Iterable[str]) -> str:
    """The digest of the list, once all that it names is found unaltered.

    names: files that it must name, and no others. Raises BrokenSeal that names every file that is missing or altered.
    """
    known = _known(folder, tuple(sorted(names)))
    broken = {name: why for name, digest in known.items() if (why := _wrong(folder / name, digest))}
    if broken:
        raise _broken(folder, broken)
    return _fingerprint(_listed(known))


def _known(folder: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Name → digest, from a list that is to the byte as we write it."""
    try:
        text = (folder / SEAL_FILE).read_bytes()
    except OSError:
        raise _broken(folder, {SEAL_FILE: "missing"}) from None
    lines = text.decode("ascii", "replace").splitlines()
    known = {line[66:]: line[:64] for line in lines if not line.startswith("#")}
    if tuple(known) != names or _listed(known) != text:
        raise _broken(folder, {SEAL_FILE: "altered"})
    return known


def _listed(digests: dict[str, str]) -> bytes:
    lines = "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))
    return f"{lines}{_OWN}{hashlib.sha256(lines.encode()).hexdigest()}\n".encode()


def _fingerprint(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _wrong(path: Path, digest: str) -> str:
    try:
        return "" if _digest(path) == digest else "altered"
    except OSError:
        return "missing"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _broken(folder: Path, files: dict[str, str]) -> BrokenSeal:
    told = ", ".join(f"{name} is {why}" for name, why in files.items())
    return BrokenSeal(f"{folder} is not as it was saved: {told}; copy it again from its source", tuple(files))
