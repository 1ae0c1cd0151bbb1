"""What sites and coordinator compute alike of a secure sum: its ids, labels of keys, and the form of its tensors."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import NamedTuple

import torch
from torch import Tensor

from ceus_models.protocol.messages import Session, Task
from ceus_models.protocol.privacy.fixed_point import Ring
from ceus_models.protocol.privacy.masks import BOX_OVERHEAD, KEY_BYTES, add_stream, derive_key
from ceus_models.protocol.privacy.shamir import SHARE_BYTES
from ceus_models.protocol.state import State, digest

ROSTER, BOXES, SUBJECT, TAGS = "#roster", "#boxes", "#subject", "#tags"
"""Inputs of a task: channel keys u8 (n 32) · boxes u8 (n n 192), row = sender · subject u8 (32) · tags u8 (n n 16)."""
MASK_KEY, SHARES, MASKED, NARROW = "#mask_key", "#shares", "#masked", "#narrow"
"""Sums of an answer: u8 (32) · u8 (n 66) · i64 (wide numbers) · u8 (narrow numbers, bytes of each)."""
SUMS_KEY = "#sums_key"
"""A site's public channel key u8 (32), in hello: asked for, and answered."""
BOX_BYTES = KEY_BYTES + 2 * SHARE_BYTES + BOX_OVERHEAD
TAG_BYTES = 16


class BoxContent(NamedTuple):
    """What one site sends another: its public mask key, and a share of each of its two secrets."""

    mask_key: bytes
    mask_share: bytes
    seed_share: bytes

    @classmethod
    def parse(cls, content: bytes) -> BoxContent:
        """The three parts of an opened box."""
        end = KEY_BYTES + SHARE_BYTES
        return cls(content[:KEY_BYTES], content[KEY_BYTES:end], content[end:])


def compute_threshold(sites: int) -> int:
    """Shares that open a sum of so many sites: two thirds.

    With fewer than a third of the sites colluding, no two sets of survivors can both be opened (Bonawitz et al. 2017,
    section 6.2).
    """
    return -(-2 * sites // 3)


def compute_session_id(session: Session, roster: bytes) -> str:
    """SHA-256 over all that makes a session: the same id with other sites, threshold or keys is another session."""
    return _hash_json("session", session.id, session.sites, session.threshold, roster.hex())


def compute_subject(task: Task) -> str:
    """SHA-256 over what is asked of the data, whatever the name of the stage and the number of the round.

    A repeated question has the same subject, so that a site can compare the sets of sites in which it was answered.
    """
    own = {name: t for name, t in task.inputs.items() if name.partition("|")[0] in task.nets and "|#" not in name}
    rule = None if task.rule is None else asdict(task.rule)
    attempt = task.attempt if task.level == "distributed" else 0
    return _hash_json("subject", task.study, task.kind, task.level, task.cohorts, digest(own), rule, attempt)


def compute_binding(session_id: str, boxes: bytes, subject: str) -> str:
    """SHA-256 that ties every mask to one session, one list of boxes and one subject."""
    return _hash_json("binding", session_id, hashlib.sha256(boxes).hexdigest(), subject)


def compute_view(binding: str, survivors: tuple[str, ...], terms: tuple[str, int] = ("sums", 0)) -> str:
    """SHA-256 over what sites confirm to each other before they open a sum. terms: see `read_terms`."""
    return _hash_json("view", binding, survivors, terms)


def read_terms(task: Task) -> tuple[str, int]:
    """What a sum may be opened under: its level, and the sites whose noise must be in it."""
    private = task.rule.private if task.rule else task.count_noise
    return task.level, private.sites if private else 0


def derive_box_key(agreed: bytes, session_id: str, ends: tuple[int, int]) -> bytes:
    """The key of the box from site `ends[0]` to site `ends[1]`. agreed: the secret that these two share."""
    return derive_key(agreed, f"box|{session_id}|{ends[0]}|{ends[1]}")


def derive_tag(agreed: bytes, view: str, ends: tuple[int, int]) -> bytes:
    """The confirmation of a view from site `ends[0]` to site `ends[1]`, which only these two can make."""
    return derive_key(agreed, f"agree|{view}|{ends[0]}|{ends[1]}", TAG_BYTES)


def add_self_mask(vector: Ring, seed: bytes, binding: str, sign: int = 1) -> None:
    """Add a site's own mask, or take it away."""
    add_stream(vector, derive_key(seed, f"stream|{binding}"), sign)


def add_pair_mask(vector: Ring, secret: bytes, binding: str, ends: tuple[int, int]) -> None:
    """Add the mask that site `ends[0]` shares with site `ends[1]`; the other adds its negative."""
    add_stream(vector, derive_key(secret, f"stream|{binding}"), 1 if ends[0] < ends[1] else -1)


def make_bytes_tensor(content: bytes, *shape: int) -> Tensor:
    """Bytes as a tensor u8 of this shape."""
    return torch.frombuffer(bytearray(content), dtype=torch.uint8).reshape(shape)


def read_bytes(tensors: State, name: str, *shape: int) -> bytes:
    """The bytes of a tensor u8. Raises ValueError where it is absent or of another shape."""
    tensor = tensors.get(name)
    if tensor is None or tensor.dtype != torch.uint8 or tuple(tensor.shape) != shape:
        found = "none" if tensor is None else f"{tuple(tensor.shape)} {tensor.dtype}"
        raise ValueError(f"expected {name} of {shape} uint8, found {found}")
    return tensor.contiguous().numpy().tobytes()


def split_bytes(content: bytes, size: int) -> list[bytes]:
    """Equal parts of `size` bytes."""
    return [content[begin : begin + size] for begin in range(0, len(content), size)]


def list_present(session: Session, boxes: bytes) -> tuple[str, ...]:
    """The sites that offered boxes; the row of another site is zeros."""
    rows = split_bytes(boxes, len(session.sites) * BOX_BYTES)
    return tuple(site for site, row in zip(session.sites, rows, strict=True) if any(row))


def _hash_json(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()
