"""The site's long-term key of secure sums: 32 random bytes in its records, from which its channel key is derived."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ceus_models.protocol.privacy.masks import KEY_BYTES, derive_key, derive_public_key
from ceus_models.runtime.atomic_files import write_first
from ceus_models.runtime.errors import ExpectedError

KEY_FILE = "sums.key"


@dataclass(frozen=True)
class ChannelKey:
    """The pair of keys by which other sites send boxes to this one. private: never leaves the site."""

    private: bytes

    @cached_property
    def public(self) -> bytes:
        """32 bytes, for the federation's roster."""
        return derive_public_key(self.private)


def load_channel_key(records: Path) -> ChannelKey:
    """The channel key of a site; its file is made, readable by its owner alone, where there is none.

    Without the file the boxes of past sums are closed for good. Raises ExpectedError for a file that was changed.
    """
    path = records / KEY_FILE
    if not path.exists():
        write_first(path, os.urandom(KEY_BYTES))
    secret = path.read_bytes()
    if len(secret) != KEY_BYTES:
        raise ExpectedError(
            f"{KEY_FILE} must hold {KEY_BYTES} bytes, found {len(secret)}; restore it from a backup, or delete it and "
            "enrol the new key"
        )
    return ChannelKey(derive_key(secret, "channel"))
