"""The studies of a federation: which there are, which one is meant, and the plan and seed of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.yaml_lines import read_yaml_with_lines, validate_document
from server.run_folder.orders import is_under_way
from server.run_folder.paths import Home, StudyFolder


class StudySettings(BaseModel):
    """What `study.yaml` says.

    Args:
        plan: file of the plan, from the coordinator's folder.
        seed: of the study; fixed once it has begun.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: Annotated[Literal[1], Field(alias="schema")] = 1
    plan: Annotated[str, Field(min_length=1)]
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 1


def list_studies(home: Home) -> tuple[StudyFolder, ...]:
    """All studies by name."""
    return tuple(StudyFolder(home, path.parent.name) for path in sorted(home.studies.glob("[!.]*/study.yaml")))


def find_study(home: Home, name: str | None = None) -> StudyFolder:
    """The study of a name; without one the only study, or the only one that is under way.

    Raises:
        ExpectedError: there is none, or a choice; it lists the names.
    """
    found = list_studies(home)
    names = ", ".join(study.name for study in found)
    if not found:
        raise ExpectedError(
            f"expected a study in {home.folder}, found none; `ceus-coordinator study add {home.folder} PLAN` adds one"
        )
    if name is not None:
        chosen = [study for study in found if study.name == name]
        if not chosen:
            raise ExpectedError(f"expected the name of a study in {home.folder}, found {name!r}; there are: {names}")
        return chosen[0]
    chosen = list(found) if len(found) == 1 else [study for study in found if is_under_way(study)]
    if len(chosen) != 1:
        raise ExpectedError(
            f"expected the name of a study, as {home.folder} has {len(found)} and {len(chosen)} are under way; give "
            f"--study NAME, one of: {names}"
        )
    return chosen[0]


def find_home(run: Path) -> Home | None:
    """The coordinator's folder of a run; None for a run of its own, as in a simulation."""
    home = Home(run.parent.parent.parent)
    return home if StudyFolder(home, run.parent.name).run == run and home.federation.exists() else None


def list_runs(home: Home) -> list[Path]:
    """The folders of all runs, of studies that were removed too."""
    asides = ("*/run", "*-run-*")
    return [*(study.run for study in list_studies(home)), *(run for one in asides for run in home.removed.glob(one))]


def read_settings(study: StudyFolder) -> StudySettings:
    """Which plan and seed a study has. Raises FaultList with all faults of its file."""
    return validate_document(read_yaml_with_lines(study.settings, "bad-study-file"), _of_values)


def write_settings(study: StudyFolder, plan: str, seed: int) -> None:
    """Write the file that makes a folder a study, as `StudySettings`. Raises OSError."""
    text = f"schema: 1\nplan: {json.dumps(plan)}  # in the coordinator's folder\nseed: {seed}\n"
    write_atomically(study.settings, text.encode(), PUBLIC)


def find_plan(study: StudyFolder) -> Path:
    """The file of its plan. Raises as `read_settings`."""
    return study.home.folder / read_settings(study).plan


def _of_values(values: Any) -> StudySettings:
    return StudySettings.model_validate_json(json.dumps(values, default=str), strict=True)
