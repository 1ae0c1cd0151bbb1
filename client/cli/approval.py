"""`ceus-site` approve · disapprove · reviewers: a person reads what a study asks, and lets it run or not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ceus_models.pki.enrolment import utc_now
from ceus_models.plan.words.plan_lines import format_plan
from ceus_models.runtime.account import read_account
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.language.reader_language import translate
from ceus_models.runtime.language.terminal import Terminal
from client.courier.approval import list_refused, list_reviewers, reviewers_wanted
from client.courier.fab import Contents, ForeignBundleError, Trust, contents_of, find_trust
from client.courier.folder import CourierFolder, courier_of
from client.courier.kit import load_kit
from client.courier.waiting import find_bundles, read_alarm
from client.data.forms.site_config import load_site
from client.service.approving import (
    Review,
    acknowledge_alarm,
    approve_bundle,
    change_reviewers,
    refuse_bundle,
    review_bundle,
    take_back,
    take_back_study,
)

Folder = Annotated[Path, typer.Argument(help="The site's folder.", show_default=False)]


def approve_command(
    folder: Folder,
    bundle: Annotated[
        str | None,
        typer.Argument(help="A bundle's file, or first digits of one that waits [default: the one that waits]."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    seen: Annotated[bool, typer.Option("--seen", help="End the alarm of a bundle that came from elsewhere.")] = False,
) -> None:
    """Say in words what a study asks and what changed since its last approval, then let it run."""
    courier, out, by = courier_of(folder), _out(), read_account()
    trust = find_trust(load_kit(courier, utc_now()))
    site = load_site(folder)
    _show_alarm(courier)
    if seen:
        acknowledge_alarm(courier, site.records, by)
        out.print("the alarm is ended, and that it was seen stands in the audit")
        return
    try:
        contents = _choose(courier, folder, bundle, trust)
    except ForeignBundleError as error:
        _warn(f"ALARM: {error}")
        raise typer.Exit(1) from None
    list_reviewers(courier, contents.sha256, by)
    _show(contents, review_bundle(courier, site.records, contents))
    if not yes and not typer.confirm(translate("Let it run here?")):
        raise ExpectedError("the bundle was not approved; nothing has changed")
    made = approve_bundle(courier, site.records, contents, by, utc_now())
    out.print(f"approved: study {escape(made.study)}, by {escape(', '.join(made.reviewers))}", soft_wrap=True)
    if (missing := reviewers_wanted(courier) - len(made.reviewers)) > 0:
        out.print(f"[red]it does not run yet: {missing} more must approve it, from another account[/]")


def disapprove_command(
    folder: Folder,
    bundle: Annotated[
        str,
        typer.Argument(help="A study's name, or the first digits of a bundle's SHA-256.", show_default=False),
    ],
) -> None:
    """Let a study or one bundle run no longer, from the next task on; or refuse a bundle that waits."""
    courier, by = courier_of(folder), read_account()
    if waiting := _find_waiting(courier, folder, bundle):
        refuse_bundle(courier, load_site(folder).records, waiting, by)
        _out().print(f"refused: study {escape(waiting.study.study)}, bundle {waiting.sha256[:16]}", soft_wrap=True)
        return
    records = load_site(folder).records
    is_digits = len(bundle) >= 4 and not set(bundle.lower()) - set("0123456789abcdef")
    gone = (
        [take_back(courier, records, bundle.lower(), by, utc_now())]
        if is_digits
        else take_back_study(courier, records, bundle, by, utc_now())
    )
    for one in gone:
        _out().print(f"no longer approved: study {escape(one.study)}, bundle {one.sha256}", soft_wrap=True)


def reviewers_command(
    folder: Folder,
    count: Annotated[int | None, typer.Argument(help="How many; without, what holds now.", show_default=False)] = None,
) -> None:
    """Have so many people approve a bundle, each from an account of their own, before it runs here."""
    courier = courier_of(folder)
    if count is not None and count != reviewers_wanted(courier):
        change_reviewers(courier, load_site(folder).records, count, read_account())
    _out().print(f"{reviewers_wanted(courier)} must approve a bundle before it runs here")


def _choose(courier: CourierFolder, folder: Path, given: str | None, trust: Trust) -> Contents:
    """The bundle of a file, of first digits, or the only one that waits. Raises ExpectedError."""
    if given is not None and Path(given).is_file():
        return contents_of(_read(Path(given)), trust)
    found = find_bundles(courier, folder, trust)
    for said in found.alarms:
        _warn(f"ALARM: {said}")
    if given is None:
        chosen = [one.contents for one in found.waiting]
    else:
        chosen = [one.contents for one in found.bundles if one.contents.sha256.startswith(given.lower())]
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        listed = ", ".join(f"{one.study.study} ({one.sha256[:12]})" for one in chosen)
        raise ExpectedError(
            f"{len(chosen)} bundles wait: {listed}; say which by its digits: ceus-site approve FOLDER …"
        )
    if given is not None:
        raise ExpectedError(f"expected a bundle's file or the digits of one that waits, found neither: {given}")
    others = "".join(f"; {said}" for said in found.faults[:1]) or _list_refused(courier)
    raise ExpectedError(f"no bundle waits for approval here{others}; give the file: ceus-site approve FOLDER BUNDLE")


def _list_refused(courier: CourierFolder) -> str:
    refused = ", ".join(one[:12] for one in list_refused(courier))
    return f"; refused or taken back were {refused}" if refused else ""


def _find_waiting(courier: CourierFolder, folder: Path, digits: str) -> Contents | None:
    if not courier.kit.exists():
        return None
    found = find_bundles(courier, folder, find_trust(load_kit(courier, utc_now())))
    chosen = [one.contents for one in found.bundles if len(digits) >= 4 and one.contents.sha256.startswith(digits)]
    return chosen[0] if len(chosen) == 1 else None


def _show(contents: Contents, review: Review) -> None:
    out = _out()
    for line in format_plan(review.text):
        out.print(escape(line), soft_wrap=True)
    out.print()
    if review.changes is None:
        out.print("It is the first plan of this study that is approved here.")
    elif not review.changes:
        out.print("Nothing changed since the last approval of this study.")
    else:
        out.print("What changed since the last approval of this study:")
        for line in review.changes:
            out.print(f"   {escape(line)}", soft_wrap=True)
    if review.text.shortage:
        out.print(f"[red]{escape(review.text.shortage)}[/]", soft_wrap=True)
    made = f"{contents.study.made:%Y-%m-%d %H:%M} UTC"
    out.print(
        f"Signed by the coordinator of {escape(contents.study.federation.partition(':')[0])} on {made}. It carries"
    )
    out.print("no code: what runs here is the fedceus that is installed.")
    out.print(f"SHA-256 {contents.sha256}", soft_wrap=True)


def _show_alarm(courier: CourierFolder) -> None:
    if alarm := read_alarm(courier):
        times = f"{alarm.count} times, last " if alarm.count > 1 else ""
        _warn(
            f"ALARM: a bundle from elsewhere came {times}on {alarm.at:%Y-%m-%d %H:%M} UTC and was refused: {alarm.said}"
        )
        _warn("When that is followed up: ceus-site approve FOLDER --seen")


def _warn(said: str) -> None:
    Terminal(stderr=True).print(f"[bold red]{escape(said)}[/]", soft_wrap=True)


def _read(bundle: Path) -> bytes:
    try:
        return bundle.read_bytes()
    except OSError as error:
        raise ExpectedError(f"the bundle cannot be read ({error.strerror}): {bundle}") from None


def _out() -> Terminal:
    return Terminal()
