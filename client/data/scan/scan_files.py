"""Where a scan keeps what it found, and which of that shows pictures of patients."""

from __future__ import annotations

from pathlib import Path

from client.data.forms.site_config import SiteConfig

PICTURE_FOLDER, PAGE_FILE = "pictures", "scan.html"
"""A picture of each clip, and the page that shows them all."""
_SHEET = "contact"


def scan_folder(site: SiteConfig) -> Path:
    """Folder of all that a scan keeps."""
    return site.work / "scan"


def name_sheet(folder: Path, number: int) -> Path:
    """A page of the contact sheet."""
    return folder / f"{_SHEET}-{number:02d}.png"


def list_sheets(folder: Path) -> list[Path]:
    """The pages of the contact sheet."""
    return sorted(folder.glob(f"{_SHEET}-*.png"))


def list_pictures(site: SiteConfig) -> list[Path]:
    """All pictures and sheets; which of them shows which patient is not known, since none bears a name."""
    folder = scan_folder(site)
    return [*sorted((folder / PICTURE_FOLDER).glob("*.png")), *list_sheets(folder)]
