"""How the folder of a site's memory is laid out, and how a study is forgotten: without torch, for a command's sake."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

FROZEN, LOCAL, UNDERWAY, RESIDUES = "frozen", "local", "underway", "residues"
"""Answers of frozen sub-models · the site's own BatchNorm states · the training under way (local_checkpoint) · what
rounding left of changes (error feedback)."""


def short(text: str) -> str:
    """A study or a stage as a part of a file's name."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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
