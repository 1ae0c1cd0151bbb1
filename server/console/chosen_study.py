"""Which study a page is of."""

from __future__ import annotations

from collections.abc import Mapping

from server.run_folder.orders import is_under_way
from server.run_folder.paths import StudyFolder


def choose_study(studies: Mapping[str, StudyFolder], asked: str | None) -> StudyFolder | None:
    """The study that is asked for by name; without one that which is under way, or the first. None: there is none."""
    if asked:
        return studies.get(asked)
    return next((study for study in studies.values() if is_under_way(study)), next(iter(studies.values()), None))
