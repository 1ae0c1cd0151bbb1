"""SHA-256 checksums of a folder's files in one file, to find missing and altered files.

The file has the format of `sha256sum`; its last line is a comment with the digest of the lines above. Checksums find
damage and mix-ups, not a forger, who can write new ones: compare the fingerprint over another channel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from ceus_models.runtime.errors import ExpectedError

CHECKSUM_FILE = "SHA256SUMS"
_OWN_DIGEST = "# SHA-256 of the lines above: "


class ChecksumError(ExpectedError):
    """A folder whose files differ from their checksums; `files` names those that are missing or altered."""

    def __init__(self, text: str, files: tuple[str, ...]) -> None:
        """Keep the message and the names of the files."""
        super().__init__(text)
        self.files = files


def write_checksums(folder: Path, names: Iterable[str]) -> str:
    """Write the checksums of these files of a folder, and return the digest of the checksum file."""
    text = _format_checksums({name: _digest(folder / name) for name in names})
    (folder / CHECKSUM_FILE).write_bytes(text)
    return _fingerprint(text)


def verify_checksums(folder: Path, names: Iterable[str]) -> str:
    """Check every file of a folder against its checksum, and return the digest of the checksum file.

    Args:
        folder: with the files and their checksums.
        names: the files that the checksum file must name, and no others.

    Raises:
        ChecksumError: it names every file that is missing or altered.
    """
    known = _read_checksums(folder, tuple(sorted(names)))
    broken = {name: why for name, digest in known.items() if (why := _describe_damage(folder / name, digest))}
    if broken:
        raise _make_error(folder, broken)
    return _fingerprint(_format_checksums(known))


def _read_checksums(folder: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Name → digest, from a checksum file that equals the one we would write, byte by byte."""
    try:
        text = (folder / CHECKSUM_FILE).read_bytes()
    except OSError:
        raise _make_error(folder, {CHECKSUM_FILE: "missing"}) from None
    lines = text.decode("ascii", "replace").splitlines()
    known = {line[66:]: line[:64] for line in lines if not line.startswith("#")}
    if tuple(known) != names or _format_checksums(known) != text:
        raise _make_error(folder, {CHECKSUM_FILE: "altered"})
    return known


def _format_checksums(digests: dict[str, str]) -> bytes:
    lines = "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))
    return f"{lines}{_OWN_DIGEST}{hashlib.sha256(lines.encode()).hexdigest()}\n".encode()


def _fingerprint(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _describe_damage(path: Path, digest: str) -> str:
    try:
        return "" if _digest(path) == digest else "altered"
    except OSError:
        return "missing"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _make_error(folder: Path, files: dict[str, str]) -> ChecksumError:
    damage = ", ".join(f"{name} is {why}" for name, why in files.items())
    return ChecksumError(f"{folder} is not as it was saved: {damage}; copy it again from its source", tuple(files))
