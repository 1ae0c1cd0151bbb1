"""What the coordinator's image installs: fedceus' dependencies less those that open a hospital's files or train there.

`python coordinator_requirements.py pyproject.toml` prints one requirement a line.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

SITE_ONLY = frozenset(
    {
        "defusedxml",
        "imagecodecs",
        "nibabel",
        "opacus",
        "opencv-python-headless",
        "openpyxl",
        "pandas",
        "pydicom",
        "scikit-learn",
    }
)


def requirements(pyproject: Path) -> list[str]:
    """The coordinator's requirements, as they stand in pyproject.toml. Raises ValueError for a name that is not there.

    An outdated name in SITE_ONLY would quietly bring a library back.
    """
    listed: list[str] = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {requirement: re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0] for requirement in listed}
    if unknown := SITE_ONLY - set(names.values()):
        raise ValueError(f"{', '.join(sorted(unknown))} is no dependency any more; delete it from SITE_ONLY")
    return [requirement for requirement, name in names.items() if name not in SITE_ONLY]


if __name__ == "__main__":
    print("\n".join(requirements(Path(sys.argv[1]))))
