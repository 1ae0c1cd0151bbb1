"""Samples and pictures of lesions that the table no longer has are removed, as when a patient withdraws."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from client.data.forms.site_config import PSEUDONYM_CHARACTERS

CONTACT_SHEET = "contact"
_ANY_SHEET = f"{'[0-9a-f]' * PSEUDONYM_CHARACTERS}.png"


def remove_samples(cache: Path, current: Collection[str]) -> None:
    """Removes files of the cache other than these."""
    for path in cache.iterdir():
        if path.name not in current:
            path.unlink(missing_ok=True)


def remove_sheets(folder: Path, current: Collection[str]) -> None:
    """Removes pictures of lesions other than these pseudonyms."""
    gone = [path for path in folder.glob(_ANY_SHEET) if path.stem not in current]
    for path in gone:
        path.unlink(missing_ok=True)
    if gone:
        remove_contact_sheets(folder)


def remove_contact_sheets(folder: Path) -> None:
    """Removes all contact sheets of a folder."""
    for path in (*folder.glob(f"{CONTACT_SHEET}.png"), *folder.glob(f"{CONTACT_SHEET}-*.png")):
        path.unlink(missing_ok=True)
