"""The masked total that is being opened, on disk before the first share is asked for.

A coordinator that is killed afterwards asks for the same opening again: sites open a question a second time for the
same sites only, and one of these may be gone by then.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ceus_models.plan.terms.participation import Fate
from ceus_models.protocol.messages import Session
from ceus_models.protocol.privacy.masks import KEY_BYTES
from ceus_models.protocol.privacy.secure_session import make_bytes_tensor
from ceus_models.runtime.atomic_files import replace_file
from ceus_models.runtime.errors import DiskFullError, ExpectedError, is_disk_full
from server.rounds.unmasking import MaskedTotal

FILE = "open-round.safetensors"


@dataclass(frozen=True)
class Pending:
    """A total that is being opened.

    Args:
        question: id and subject of the round's task.
        roster: channel keys of the session's sites.
        boxes: of all sites for all sites.
        fates: of the sites that are not in the sum.
    """

    question: str
    masked: MaskedTotal
    roster: bytes
    boxes: bytes
    fates: dict[str, tuple[Fate, str]]


@dataclass(frozen=True)
class _Header:
    question: str
    session: Session
    binding: str
    survivors: tuple[str, ...]
    mask_keys: dict[str, str]
    fates: dict[str, tuple[Fate, str]]


_HEADER = TypeAdapter(_Header)


@dataclass(frozen=True)
class OpeningFile:
    """At most one such total of a study, in its folder."""

    folder: Path

    def save(self, pending: Pending) -> None:
        """Write or replace the file, to the disk. Raises ExpectedError where the disk is full or read-only."""
        masked = pending.masked
        header = _Header(
            pending.question,
            masked.session,
            masked.binding,
            masked.survivors,
            {site: key.hex() for site, key in masked.mask_keys.items()},
            pending.fates,
        )
        tensors = {
            "vector": torch.from_numpy(masked.vector.view(np.int64)),
            "roster": make_bytes_tensor(pending.roster, len(masked.session.sites), KEY_BYTES),
            "boxes": make_bytes_tensor(pending.boxes, len(pending.boxes)),
        }
        try:
            with replace_file(self.folder / FILE) as draft:
                save_file(tensors, draft, {"header": json.dumps(asdict(header))})
        except (OSError, SafetensorError) as error:
            kind = DiskFullError if is_disk_full(error) else ExpectedError
            raise kind(
                f"the masked total cannot be written to {self.folder} ({getattr(error, 'strerror', None) or error}): "
                "make room and start the same command again; it continues from the last saved round"
            ) from None

    def load(self, question: str) -> Pending | None:
        """The total of this question; None where there is none, or where it cannot be read."""
        try:
            with safe_open(self.folder / FILE, framework="pt") as file:
                header = _HEADER.validate_json((file.metadata() or {}).get("header", ""))
                tensors = {name: file.get_tensor(name) for name in ("vector", "roster", "boxes")}
        except (OSError, SafetensorError, ValidationError):
            return None
        if header.question != question:
            return None
        keys = {site: bytes.fromhex(key) for site, key in header.mask_keys.items()}
        vector = tensors["vector"].numpy().view(np.uint64)
        masked = MaskedTotal(header.session, header.binding, keys, header.survivors, vector)
        roster, boxes = (tensors[name].numpy().tobytes() for name in ("roster", "boxes"))
        return Pending(header.question, masked, roster, boxes, header.fates)

    def remove(self) -> None:
        """Delete the file: the round is saved, or its sum is void."""
        (self.folder / FILE).unlink(missing_ok=True)
