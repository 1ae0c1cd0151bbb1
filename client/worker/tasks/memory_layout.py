"""How the folder of a site's memory is laid out, and how a study is forgotten: without torch, for a command's sake."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ceus_models.runtime.atomic_files import write_atomically

FROZEN, LOCAL, UNDERWAY, RESIDUES = "frozen", "local", "underway", "residues"
"""Answers of frozen sub-models · the site's own BatchNorm states · the training under way (local_checkpoint) · what
rounding left of changes (error feedback)."""


_NOTE = "index.json"


def short(text: str) -> str:
    """A study or a stage as a part of a file's name."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def settle_index(folder: Path, index: str, lesions: Collection[str]) -> bool:
    """Note the index that the memory is made from, and delete what is of another one.

    The training under way ends with its index. Where lesions are gone since the last time, all is deleted: states and
    residues are made of them.

    Args:
        index: digest.
        lesions: pseudonyms.

    Returns:
        Whether lesions are gone.

    Raises:
        OSError: the note cannot be written.
    """
    before = _read_note(folder)
    if before.get("index") == index:
        return False
    shutil.rmtree(folder / UNDERWAY, ignore_errors=True)
    gone = not set(before.get("lesions", ())) <= set(lesions)
    if gone:
        forget(folder, "")
    note = json.dumps({"index": index, "lesions": sorted(lesions)}).encode()
    write_atomically(folder / _NOTE, note)
    return gone


def forget(folder: Path, study: str) -> None:
    """Delete what belongs to a study ("" for all): its BatchNorm states, its residues, its training under way, and all
    answers of frozen sub-models.

    Those answers are kept by the sub-models' digest, not by study; another study's site asks for its own again.
    """
    shutil.rmtree(folder / UNDERWAY / (short(study) if study else ""), ignore_errors=True)
    own = f"{short(study)}-*/**/*" if study else "**/*"
    for path in (*folder.glob(f"{LOCAL}/{own}"), *folder.glob(f"{RESIDUES}/{own}"), *folder.glob(f"{FROZEN}/*")):
        if path.is_file():
            path.unlink(missing_ok=True)


def _read_note(folder: Path) -> dict[str, Any]:
    """Nothing where there is none: of a memory that is empty, or older than the note."""
    try:
        note = json.loads((folder / _NOTE).read_bytes())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}
