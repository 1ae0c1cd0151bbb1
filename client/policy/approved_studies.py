"""What was approved here, beside the worker's records: the worker cannot look into the courier's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from ceus_models.plan.words.outline import parse_values
from ceus_models.runtime.atomic_files import inherit_owner, write_atomically
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import hold_lock
from ceus_models.study.processing import Processing, parse_processing

APPROVED_FILE, PLANS = "approved.json", "plans"


class ApprovedStudy(BaseModel):
    """A bundle's plan. ended: when it was taken back; its name stays known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    study: str
    plan_digest: str = Field(pattern="^[0-9a-f]{64}$")
    bundle: str
    reviewers: tuple[str, ...]
    approved: AwareDatetime
    ended: AwareDatetime | None = None


class ApprovedStudies(BaseModel):
    """All of them, oldest first. reviewers: how many people must approve a study before it is answered."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    reviewers: int = Field(1, ge=1, le=9)
    studies: tuple[ApprovedStudy, ...] = ()

    def in_force(self) -> dict[str, str]:
        """Digest → name of the plans that are answered."""
        return {one.plan_digest: one.study for one in self.studies if self._holds(one)}

    def names(self) -> dict[str, str]:
        """Digest → name of every plan that was ever approved."""
        return {one.plan_digest: one.study for one in self.studies}

    def find(self, name: str) -> tuple[str, ...]:
        """The digests of all plans of a study, by its name."""
        return tuple(dict.fromkeys(one.plan_digest for one in self.studies if one.study == name))

    def find_last(self, name: str) -> str | None:
        """The digest of the plan of a study that was approved last; None before the first."""
        held = [one for one in self.studies if one.study == name and len(one.reviewers) >= self.reviewers]
        return held[-1].plan_digest if held else None

    def with_study(self, study: ApprovedStudy) -> ApprovedStudies:
        """With a bundle, or its further reviewer."""
        others = tuple(one for one in self.studies if one.bundle != study.bundle)
        return self.model_copy(update={"studies": (*others, study)})

    def without(self, bundle: str, at: AwareDatetime) -> ApprovedStudies:
        """Without a bundle from now on."""
        return self.model_copy(
            update={
                "studies": tuple(
                    one.model_copy(update={"ended": at}) if one.bundle == bundle else one for one in self.studies
                )
            }
        )

    def _holds(self, study: ApprovedStudy) -> bool:
        return study.ended is None and len(study.reviewers) >= self.reviewers


def read_approved(records: Path) -> ApprovedStudies:
    """What is approved; nothing where nobody approved anything. Raises ExpectedError for a file that cannot be read."""
    try:
        return ApprovedStudies.model_validate_json((records / APPROVED_FILE).read_bytes())
    except FileNotFoundError:
        return ApprovedStudies()
    except (OSError, ValidationError):
        raise ExpectedError(
            f"expected what was approved in {APPROVED_FILE}, it cannot be read, so no approved study is answered; "
            "restore it from a backup, or delete it and approve again"
        ) from None


def change_approved(records: Path, change: Callable[[ApprovedStudies], ApprovedStudies]) -> None:
    """Change the file, one command at a time. Raises ExpectedError."""
    try:
        records.mkdir(parents=True, exist_ok=True, mode=0o700)
        inherit_owner(records)
        busy = ExpectedError("another command has been changing what is approved for 3 s; end it")
        with hold_lock(records, busy):
            after = change(read_approved(records))
            write_atomically(records / APPROVED_FILE, after.model_dump_json(indent=2).encode() + b"\n")
    except OSError as error:
        raise ExpectedError(
            f"{APPROVED_FILE} cannot be written ({error.strerror}); nothing has changed: free disk space, or run the "
            "command as the user of the worker"
        ) from None


def write_plan(records: Path, digest: str, plan: str) -> None:
    """Put an approved plan where the worker looks for it. Raises ExpectedError."""
    folder = records / PLANS
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        inherit_owner(folder)
        write_atomically(folder / f"{digest}.json", plan.encode())
    except OSError as error:
        raise ExpectedError(
            f"the plan cannot be written ({error.strerror}); nothing has changed: free disk space, or run the command "
            "as the user of the worker"
        ) from None


def read_plan_values(records: Path, digest: str) -> dict[str, Any] | None:
    """The values of a plan that lies here; None where it does not."""
    try:
        return parse_values((records / PLANS / f"{digest}.json").read_text(encoding="utf-8"))
    except (OSError, ExpectedError):
        return None


def list_processings(records: Path) -> dict[str, Processing]:
    """Study → the processing settings of its approved plan. Raises ExpectedError."""
    found: dict[str, Processing] = {}
    for digest, name in read_approved(records).in_force().items():
        values = read_plan_values(records, digest)
        if values is not None:
            found[name] = parse_processing(values)
    return found
