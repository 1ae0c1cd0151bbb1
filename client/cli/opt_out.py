"""`ceus-site pause | resume | withdraw | rejoin`: whether the site answers, at once and also by a running worker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ceus_models.runtime.account import account
from ceus_models.runtime.errors import ExpectedError, FaultList
from client.data.forms.site_config import SiteConfig, load_site
from client.policy.policy import study_named
from client.policy.policy_file import load_policy
from client.worker.site.opt_out import EVERY_STUDY, change_standing
from client.worker.tasks.memory_layout import forget

Folder = Annotated[Path, typer.Argument(help="The site's folder, with site.yaml in it.", show_default=False)]
Study = Annotated[
    str | None, typer.Option(help="A study by its name in policy.yaml or its plan's digest [default: every study].")
]


def pause_command(folder: Folder) -> None:
    """Answer no task from now on; work under way is not answered either."""
    change_standing(load_site(folder).records, "pause", account())
    typer.echo("paused: nothing leaves this site until `ceus-site resume`")


def resume_command(folder: Folder) -> None:
    """Answer tasks again."""
    change_standing(load_site(folder).records, "resume", account())
    typer.echo("resumed: the next task is answered as the policy allows")


def withdraw_command(
    folder: Folder,
    study: Study = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it: what the site keeps of the study is deleted.")] = False,
) -> None:
    """Leave a study, or every study: no task of it is answered, and the site's memory of it is deleted."""
    site = load_site(folder)
    digest = _digest(site, study)
    if not yes:
        raise ExpectedError("withdrawing deletes what this site keeps of the study; say it again with --yes to do so")
    change_standing(site.records, "withdraw", account(), digest)
    forget(site.work / "memory", "" if digest == EVERY_STUDY else digest)
    typer.echo("withdrawn: its tasks are refused until `ceus-site rejoin`. Sums that left before cannot be taken back")


def rejoin_command(folder: Folder, study: Study = None) -> None:
    """Take part again in a study that the site withdrew from, or in every one."""
    site = load_site(folder)
    digest = _digest(site, study)
    standing = change_standing(site.records, "rejoin", account(), digest)
    if standing.withdrawn:
        typer.echo("rejoined; withdrawn from others still: `ceus-site rejoin` without --study ends all of it")
    else:
        typer.echo("rejoined: the next task is answered as the policy allows")


def _digest(site: SiteConfig, study: str | None) -> str:
    """The digest of a study that is named; raises ExpectedError with the names that are known."""
    if study is None:
        return EVERY_STUDY
    try:
        studies = load_policy(site.folder).studies
    except FaultList:  # a site must be able to leave whatever its policy says
        studies = None
    digest = study_named(studies, study)
    if digest is None:
        names = ", ".join(studies or ()) or "none; give the plan's digest of 64 characters"
        raise ExpectedError(f"no study {study!r}; policy.yaml names {names}")
    return digest
