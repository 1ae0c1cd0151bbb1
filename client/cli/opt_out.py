"""`ceus-site pause | resume | withdraw | rejoin`: whether the site answers, at once and also by a running worker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ceus_models.runtime.account import read_account
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.language.terminal import say
from client.data.forms.site_config import load_site
from client.service.studies import find_digests, join_studies, leave_studies
from client.worker.site.opt_out import change_participation

Folder = Annotated[Path, typer.Argument(help="The site's folder, with site.yaml in it.", show_default=False)]
Study = Annotated[str | None, typer.Option(help="A study by its name, or by its plan's digest [default: every study].")]


def pause_command(folder: Folder) -> None:
    """Answer no task from now on; work under way is not answered either."""
    change_participation(load_site(folder).records, "pause", read_account())
    say("paused: nothing leaves this site until `ceus-site resume`")


def resume_command(folder: Folder) -> None:
    """Answer tasks again."""
    change_participation(load_site(folder).records, "resume", read_account())
    say("resumed: the next task is answered as the policy allows")


def withdraw_command(
    folder: Folder,
    study: Study = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it: what the site keeps of the study is deleted.")] = False,
) -> None:
    """Leave a study, or every study: no task of it is answered, and the site's memory of it is deleted."""
    site = load_site(folder)
    digests = find_digests(site, study)
    if not yes:
        raise ExpectedError("withdrawing deletes what this site keeps of the study; say it again with --yes to do so")
    leave_studies(site, digests, read_account())
    say("withdrawn: its tasks are refused until `ceus-site rejoin`. Sums that left before cannot be taken back")


def rejoin_command(folder: Folder, study: Study = None) -> None:
    """Take part again in a study that the site withdrew from, or in every one."""
    site = load_site(folder)
    standing = join_studies(site, find_digests(site, study), read_account())
    if standing.withdrawn:
        say("rejoined; withdrawn from others still: `ceus-site rejoin` without --study ends all of it")
    else:
        say("rejoined: the next task is answered as the policy allows")
