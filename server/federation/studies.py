"""The studies of a federation as they come and go: the first by `init`, further ones by `study add`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from ceus_models.pki.enrolment import NAME
from ceus_models.plan.plan import Plan, load_plan
from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from ceus_models.runtime.errors import ExpectedError
from server.federation.federation_file import Federation
from server.federation.former_layout import name_study
from server.run_folder.journal import Journal
from server.run_folder.orders import is_under_way
from server.run_folder.paths import Home, StudyFolder
from server.run_folder.studies import find_plan, list_studies, read_settings, write_settings


def ensure_first_study(home: Home, federation: Federation, plan: Plan) -> StudyFolder:
    """The study of the plan beside federation.yaml, made if there is none. Raises ExpectedError as `check_distinct`."""
    known = [study for study in list_studies(home) if read_settings(study).plan == federation.plan]
    study = known[0] if known else StudyFolder(home, name_study(plan.name))
    if not known and study.folder.exists():
        raise ExpectedError(
            f"the plan {federation.plan} is named {plan.name}, and there is another study of that name; give the plan "
            f"another name, or delete {federation.plan} if it is the plan of that study"
        )
    check_distinct(study, plan)
    if not known or read_settings(study).seed != federation.seed:
        write_settings(study, federation.plan, federation.seed)
    return study


def add_study(
    home: Home, plan_file: Path, name: str | None, seed: int | None, now: datetime
) -> tuple[StudyFolder, tuple[str, ...]]:
    """Add a study, or give one that was added another plan or seed; its bundle is made by `init`.

    Args:
        plan_file: which is copied.
        name: of the study; the plan's name without it.
        seed: that of the study as it is, or 1, without it.

    Returns:
        The study, and what was done, one line each.

    Raises:
        FaultList: faults of the plan.
        ExpectedError: the plan is another study's, or the study is under way.
    """
    plan = load_plan(plan_file)
    study = StudyFolder(home, name_study(plan.name) if name is None else name)
    if not NAME.fullmatch(study.name):
        raise ExpectedError(
            f"expected a name of 1 to 63 letters, digits and hyphens, found {study.name!r}; give another --name"
        )
    check_distinct(study, plan)
    known = read_settings(study) if study.settings.exists() else None
    if known and find_plan(study) != study.plan:
        raise ExpectedError(
            f"the plan of {study.name} is {find_plan(study)}; change it there and run `ceus-coordinator init "
            f"{home.folder}`, or give another --name"
        )
    wanted = seed if seed is not None else known.seed if known else 1
    if known and (load_plan(study.plan).digest(), known.seed) == (plan.digest(), wanted):
        return study, (f"kept the plan of {study.name}",)
    steps = [f"{'changed' if known else 'added'} {study.name}"]
    check_at_rest(study)
    if any(study.run.glob("progress-*")):
        aside = _put_aside(study.run, home.removed / f"{study.name}-run", now)
        steps.append(f"its rounds so far are of the former plan or seed, and lie in {aside}")
    write_atomically(study.plan, plan_file.read_bytes(), PUBLIC)
    write_settings(study, str(study.plan.relative_to(home.folder)), wanted)
    return study, tuple(steps)


def remove_study(study: StudyFolder, now: datetime) -> Path:
    """Put a study aside, with its results; its new folder. Raises ExpectedError if it is under way."""
    check_at_rest(study)
    beside = find_plan(study)
    if beside != study.plan and beside.exists():  # `init` would add it again
        beside.replace(study.plan)
    return _put_aside(study.folder, study.home.removed / study.name, now)


def check_at_rest(study: StudyFolder) -> None:
    """Raise ExpectedError while a run of the study is ordered or a process of it lives."""
    if is_under_way(study) or Journal(study.run).is_held():
        raise ExpectedError(
            f"expected that nothing runs for {study.name}, but its run is under way; `ceus-coordinator stop "
            f"{study.home.folder} --study {study.name}` ends it"
        )


def _put_aside(folder: Path, place: Path, now: datetime) -> Path:
    """Move a folder to a place with the moment in its name; the new path."""
    place.parent.mkdir(exist_ok=True)
    return folder.replace(place.with_name(f"{place.name}-{now:%Y%m%dT%H%M%S}"))


def check_distinct(study: StudyFolder, plan: Plan) -> None:
    """Raise ExpectedError if another study has this plan: the sites know a study by its plan's digest alone."""
    for other in list_studies(study.home):
        if other != study and load_plan(find_plan(other)).digest() == plan.digest():
            raise ExpectedError(
                f"the plan of a study must differ from all others, but {other.name} has the same one (digest "
                f"{plan.digest()[:16]}), and the sites could not tell the two apart; give the plan a name of its own"
            )


def write_bundle(study: StudyFolder, content: bytes) -> Iterator[str]:
    """Write the bundle that the sites approve, if it is another; what was done, in a line."""
    sha = hashlib.sha256(content).hexdigest()
    old = study.bundle.read_bytes() if study.bundle.exists() else None
    if old == content:
        yield f"kept the bundle of {study.name}: {sha}"
        return
    write_atomically(study.bundle, content, PUBLIC)
    after = "" if old is None else "; the old one is no longer run, so every site must approve this one"
    yield f"made the bundle of {study.name}: {study.bundle}, SHA-256 {sha}{after}"
