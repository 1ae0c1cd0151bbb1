"""`ceus-site pause | resume | withdraw | rejoin`: whether the site answers, at once and also by a running worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from ceus_models.failures import ExpectedError
from client.audit import Audit
from client.config import SiteConfig, load_site
from client.faults import FaultList
from client.memory_folder import forget
from client.policy import study_named
from client.policy_file import load_policy
from client.standing import EVERY_STUDY, Standing, read_standing, standing_held, write_standing

app = typer.Typer()
Folder = Annotated[Path, typer.Argument(help="The site's folder, with site.yaml in it.", show_default=False)]
Study = Annotated[
    str | None, typer.Option(help="A study by its name in policy.yaml or its plan's digest [default: every study].")
]


@app.command("pause")
def pause_command(folder: Folder) -> None:
    """Answer no task from now on; work under way is not answered either."""
    _change(load_site(folder), "pause", Standing.pause)
    typer.echo("paused: nothing leaves this site until `ceus-site resume`")


@app.command("resume")
def resume_command(folder: Folder) -> None:
    """Answer tasks again."""
    _change(load_site(folder), "resume", Standing.resume)
    typer.echo("resumed: the next task is answered as the policy allows")


@app.command("withdraw")
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
    _change(site, "withdraw", lambda standing: standing.withdraw(digest), digest)
    forget(site.work / "memory", "" if digest == EVERY_STUDY else digest)
    typer.echo("withdrawn: its tasks are refused until `ceus-site rejoin`. Sums that left before cannot be taken back")


@app.command("rejoin")
def rejoin_command(folder: Folder, study: Study = None) -> None:
    """Take part again in a study that the site withdrew from, or in every one."""
    site = load_site(folder)
    digest = _digest(site, study)
    standing = _change(site, "rejoin", lambda standing: standing.rejoin(digest), digest)
    if standing.withdrawn:
        typer.echo("rejoined; withdrawn from others still: `ceus-site rejoin` without --study ends all of it")
    else:
        typer.echo("rejoined: the next task is answered as the policy allows")


def _change(
    site: SiteConfig,
    kind: Literal["pause", "resume", "withdraw", "rejoin"],
    change: Callable[[Standing], Standing],
    study: str = "",
) -> Standing:
    """Write the new standing and its entry; what closes the site holds even where the audit cannot be written.

    Raises ExpectedError, also for an audit that was changed or cannot be written.
    """
    audit, said = Audit(site.records), {"study": study} if study else {}
    with standing_held(site.records):
        standing = change(read_standing(site.records))
        if kind in ("resume", "rejoin"):
            audit.append(kind, **said)
        write_standing(site.records, standing)
        if kind in ("pause", "withdraw"):
            audit.append(kind, **said)
    return standing


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
