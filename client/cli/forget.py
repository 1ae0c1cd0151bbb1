"""`ceus-site forget`: a patient withdraws; a running worker honours it from its next task on."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer

from ceus_models.runtime.account import read_account
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.language.terminal import say
from client.data.forms.site_config import load_site
from client.service.studies import find_names
from client.worker.site.forgetting import find_patient, forget_patient
from client.worker.site.patient_rounds import Participation


def forget_command(
    folder: Annotated[Path, typer.Argument(help="The site's folder, with site.yaml in it.", show_default=False)],
    patient: Annotated[
        str | None,
        typer.Argument(help="patient_id as in the table [default: asked for, so that no shell keeps it]."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it: the patient's samples are deleted.")] = False,
) -> None:
    """Take a patient out of every study from the next task on; say which rounds the patient was in."""
    site = load_site(folder)
    files = find_patient(site, (patient or typer.prompt("patient_id")).strip())
    if not files.lesions:
        raise ExpectedError(
            "expected a patient_id as lesions.csv has it, found no lesion of this one in the table, the cache or the "
            "records; mend the spelling"
        )
    if not yes:
        raise ExpectedError(
            f"found {len(files.lesions)} lesions of this patient, {len(files.samples)} with a sample; forgetting "
            "deletes what was made of them and cannot be undone. Say it again with --yes"
        )
    done = forget_patient(site, files, read_account())
    say(f"forgotten: {len(files.lesions)} lesions, from the next task on; {done.deleted} files deleted")
    if done.waiting:
        say("`ceus-site index` is at work here and deletes the samples at its end; if it is stopped, run it again")
    _print_part(done.part, find_names(site))
    say(
        f"the coordinator is told how many patients of a study withdrew, and nothing else; here {done.withdrawn} did. "
        "The tables and exports of the hospital are left as they are. Sums that left before cannot be taken back"
    )


def _print_part(part: Participation, names: Mapping[str, str]) -> None:
    for stage in part.stages:
        rounds = _shorten(stage.rounds)
        study = names.get(stage.study, stage.study[:12])
        say(f"took part: study {study}, {stage.stage}, {stage.asked}: rounds {rounds}")
    if not part.stages:
        say("took part in no answered round that the audit knows")
    if part.unknown:
        say(f"{part.unknown} answers name no index that is kept: whether the patient took part is not known")


def _shorten(rounds: tuple[int, ...]) -> str:
    """The numbers, with ranges for those in a row.

    >>> _shorten((0, 1, 2, 5))
    '0-2, 5'
    """
    starts = [rounds[0], *(b for a, b in pairwise(rounds) if b != a + 1)]
    ends = [*(a for a, b in pairwise(rounds) if b != a + 1), rounds[-1]]
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True))
