"""Which study a page is of."""

from __future__ import annotations

from collections.abc import Sequence

from server.run_folder.paths import StudyFolder


def choose_study(studies: Sequence[StudyFolder], asked: str | None) -> StudyFolder | None:
    """The study that is asked for by name; without one the most urgent, which is the first. None: there is none."""
    if asked is None:
        return next(iter(studies), None)
    return next((study for study in studies if study.name == asked), None)
