"""The studies of a federation as they come and go: the first by `init`, further ones by `study add`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from ceus_models.plan.plan import Plan, load_plan
from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from ceus_models.runtime.errors import ExpectedError
from server.federation.federation_file import Federation
from server.federation.former_layout import name_study
from server.run_folder.paths import Home, StudyFolder
from server.run_folder.studies import find_plan, list_studies, read_settings, write_settings


def ensure_first_study(home: Home, federation: Federation, plan: Plan) -> StudyFolder:
    """The study of the plan beside federation.yaml, made if there is none. Raises ExpectedError as `check_distinct`."""
    known = [study for study in list_studies(home) if read_settings(study).plan == federation.plan]
    study = known[0] if known else StudyFolder(home, name_study(plan))
    if not known and study.folder.exists():
        raise ExpectedError(
            f"the plan {federation.plan} is named {plan.name}, and there is another study of that name; give the plan "
            f"another name, or delete {federation.plan} if it is the plan of that study"
        )
    check_distinct(study, plan)
    if not known or read_settings(study).seed != federation.seed:
        write_settings(study, federation.plan, federation.seed)
    return study


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
