"""Secret keys of a site: 32 random bytes each in its records, made where they are missing, and never sent."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ceus_models.protocol.privacy.masks import KEY_BYTES, derive_key, derive_public_key
from ceus_models.runtime.atomic_files import write_first
from ceus_models.runtime.errors import ExpectedError

SUMS, NOISE = "sums", "noise"


@dataclass(frozen=True)
class ChannelKey:
    """The pair of keys by which other sites send boxes to this one. private: never leaves the site."""

    private: bytes

    @cached_property
    def public(self) -> bytes:
        """32 bytes, for the federation's roster."""
        return derive_public_key(self.private)


def load_key(records: Path, name: str) -> bytes:
    """The key in `<name>.key` of the records' folder, made with mode 0600 where it is missing.

    Raises:
        ExpectedError: the file has another length.
        OSError: it cannot be read or written.
    """
    path = records / f"{name}.key"
    if not path.exists():
        write_first(path, os.urandom(KEY_BYTES))
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise ExpectedError(
            f"{path.name} must hold {KEY_BYTES} bytes, found {len(key)}; restore it from a backup, or delete it and "
            "enrol the new key"
        )
    return key


def load_channel_key(records: Path) -> ChannelKey:
    """The channel key of a site; without its file the boxes of past sums are closed for good."""
    return ChannelKey(derive_key(load_key(records, SUMS), "channel"))
