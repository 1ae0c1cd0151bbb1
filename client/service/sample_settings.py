"""Which processing settings a site's samples are made with: those of its studies, so that nobody has to name a plan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ceus_models.plan.words.outline import parse_values
from ceus_models.runtime.errors import ExpectedError, FaultList
from ceus_models.study.inclusion import STUDY_RULES, Inclusion
from ceus_models.study.processing import Processing, load_processing, parse_processing
from client.courier.fab import find_trust
from client.courier.folder import courier_of
from client.courier.kit import is_ours, kit_of
from client.courier.waiting import find_bundles
from client.data.forms.site_config import load_site
from client.policy.approved_studies import list_processings


def find_processing(folder: Path, plan: Path | None = None, study: str | None = None) -> Processing:
    """Find the settings for a site's samples.

    Args:
        folder: the site's.
        plan: a plan's file, which comes before all else.
        study: whose settings, where several studies differ.

    Returns:
        Those of the file; else of the approved studies; else of the bundles that wait; else the paper's.

    Raises:
        ExpectedError: several studies differ, or none has that name.
    """
    if plan is not None:
        return load_processing(plan)
    known = list_processings(load_site(folder).records) or _list_waiting(folder)
    if study is not None:
        if study not in known:
            raise ExpectedError(f"expected a study that is approved here, found {study!r}; known are {_join(known)}")
        return known[study]
    if len({one.digest() for one in known.values()}) > 1:
        raise ExpectedError(f"the studies {_join(known)} want different samples; say whose with --study NAME")
    return next(iter(known.values()), Processing())


def find_rules(folder: Path, study: str | None = None) -> Inclusion:
    """The rules of inclusion of the site's study; those of the paper where site.yaml is faulty, which `check` tells.

    Raises ExpectedError as `find_processing`.
    """
    try:
        load_site(folder)
    except FaultList:
        return STUDY_RULES
    return find_processing(folder, study=study).inclusion


def _list_waiting(folder: Path) -> dict[str, Processing]:
    courier = courier_of(folder)
    kit = kit_of(courier)
    if kit is None or not is_ours(courier):
        return {}
    waiting = (one.contents.study for one in find_bundles(courier, folder, find_trust(kit)).waiting)
    return {study.study: parse_processing(parse_values(study.plan)) for study in waiting}


def _join(known: Mapping[str, Processing]) -> str:
    return ", ".join(known) or "none"
