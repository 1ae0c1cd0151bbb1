"""`ceus-site predict | bundle`: the model's answer about one lesion or a folder of them; and a bundle looked at."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from ceus_models.bundle.model_bundle import CARD_FILE, Bundle, load_bundle
from ceus_models.bundle.model_card import RESEARCH_ONLY
from ceus_models.runtime.errors import ExpectedError, Fault, FaultList
from ceus_models.runtime.humanize import clean_lines
from ceus_models.runtime.language.reader_language import translate
from ceus_models.runtime.language.terminal import Terminal, say
from ceus_models.runtime.progress_bar import OnProgress, show_progress
from ceus_models.study.reader_study import ROLES
from ceus_models.study.taxonomy import LESION_TYPES
from client.data.forms.columns import SURE_WORDS
from client.data.forms.site_config import SiteConfig, open_work
from client.data.table.manifest import read_manifest
from client.data.table.rows import Row
from client.faults.fault import as_json
from client.predict.answer_view import format_percent
from client.predict.predict_folder import AnsweredLesion, answer_lesion, build_lesions_site, read_lesions
from client.predict.reading_log import AssistLog, Reader

OUT = "predictions"
_PASS = "pass"
_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

Role = StrEnum("Role", list(ROLES))  # type: ignore[misc]
"""Of a reader."""

BundleFolder = Annotated[Path, typer.Option("--bundle", help="The folder of the model.", show_default=False)]


def predict_command(
    study: Annotated[
        Path, typer.Argument(help="A folder with a table of lesions (lesions.csv), their clips and outlines.")
    ],
    bundle: BundleFolder,
    site: Annotated[
        Path | None, typer.Option(help="The hospital's own folder, where STUDY has no site.yaml [default: STUDY].")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where the answers go [default: STUDY/predictions].")] = None,
    lesion: Annotated[int | None, typer.Option(min=2, help="Only the lesion in this row of the table.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Lesions read at once, where there are several.")] = _CORES,
    as_machine: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
    assist_log: Annotated[
        Path | None,
        typer.Option(help="Ask a reader before and after the answer, and write both to this table (as reads.csv)."),
    ] = None,
    reader: Annotated[str, typer.Option(help="The reader's name in the log.")] = "",
    role: Annotated[Role | None, typer.Option(help="The reader's role in the log.")] = None,
) -> None:
    """Ask a trained model about lesions, and write each answer as a page (HTML, PDF) and as JSON.

    FOR RESEARCH ONLY: not a medical device. Values that are not in the table count as not recorded.
    """
    place = build_lesions_site(study, site)
    open_work(place)
    log = _log(assist_log, place, reader, role)
    if log and as_machine:
        raise ExpectedError("--assist-log asks a person, and --json is for a machine; give one of them")
    model = load_bundle(bundle)
    rows, faults = _rows(place, lesion)
    target = study / OUT if out is None else out
    console = Terminal(stderr=as_machine)
    console.print(f"[bold]{RESEARCH_ONLY}[/]", soft_wrap=True)
    if log:
        faults += _predict_with_reader(rows, (place, model, target), log, console)
        answers: list[AnsweredLesion] = []
    else:
        with show_progress("predicting", quiet=as_machine) as on_progress:
            answers, more = _predict_rows(rows, (place, model, target), workers if len(rows) > 1 else 0, on_progress)
        faults += more
    if as_machine:
        _print_json(model, answers, faults)
    else:
        _print(console, model, answers, target)
        if faults:
            raise FaultList(faults)
    raise typer.Exit(1 if faults else 0)


def bundle_command(
    bundle: Annotated[Path, typer.Argument(help="The folder of a model.", show_default=False)],
    card: Annotated[bool, typer.Option("--card", help="Print the whole model card.")] = False,
) -> None:
    """Verify every byte of a bundle, and say what it is."""
    model = load_bundle(bundle)
    console = Terminal()
    console.print(f"unaltered; fingerprint {model.fingerprint}", soft_wrap=True)
    console.print(f"plan {escape(str(model.provenance.get('plan', '')))}, {len(model.nets)} nets", soft_wrap=True)
    console.print(f"model card: {escape(str(bundle / CARD_FILE))}", soft_wrap=True)
    if card:
        typer.echo(clean_lines((bundle / CARD_FILE).read_text(encoding="utf-8")))


Setting = tuple[SiteConfig, Bundle, Path]
"""The site, the model, and where answers go."""


def _predict_rows(
    rows: Sequence[Row], setting: Setting, workers: int, progress: OnProgress
) -> tuple[list[AnsweredLesion], list[Fault]]:
    """All lesions, those that cannot be read as faults; in the order of the table."""
    place, model, target = setting
    answers: list[AnsweredLesion] = []
    faults: list[Fault] = []
    for done, (row, lesion) in enumerate(read_lesions(rows, place, model.processing, workers), start=1):
        if isinstance(lesion, Fault):
            faults.append(lesion)
        else:
            answers.append(answer_lesion(row, lesion, model, target))
        progress(done, len(rows))
    return sorted(answers, key=lambda one: one.row.line), sorted(faults, key=lambda fault: fault.row or 0)


def _predict_with_reader(rows: Sequence[Row], setting: Setting, log: AssistLog, console: Terminal) -> list[Fault]:
    """One lesion after the other: the reader, the model, the reader again. Ends where the reader passes."""
    place, model, target = setting
    faults = []
    for row, lesion in read_lesions(
        [row for row in rows if len(log.find_answers(row.lesion_id)) < 2], place, model.processing, 0
    ):
        if isinstance(lesion, Fault):
            faults.append(lesion)
            continue
        console.print(f"\nrow {row.line}, lesion {lesion.sample.key}: look at its clips and values")
        if not log.record(row.lesion_id, False, _ask, "your diagnosis, without the model"):
            break
        answered = answer_lesion(row, lesion, model, target)
        console.print(_line(answered), soft_wrap=True)
        console.print(f"the page: {escape(str(answered.page))}", soft_wrap=True)
        if not log.record(row.lesion_id, True, _ask, "your diagnosis, now that you know the model's"):
            break
    return faults


def _ask(question: str) -> tuple[str, int] | None:
    """One of the types, in any letters, and how sure the reader is; or a pass."""
    diagnosis = _ask_type(question)
    return None if diagnosis is None else (diagnosis, _ask_confidence())


def _ask_confidence() -> int:
    choices = ", ".join(SURE_WORDS)
    while True:
        said = typer.prompt(translate("how sure you are, from 1 (a guess) to 5 (certain)")).strip()
        if said in SURE_WORDS:
            return int(said)
        say(f"one of {choices}")


def _ask_type(question: str) -> str | None:
    choices = f"{', '.join(LESION_TYPES)}, or {_PASS} to stop"
    while True:
        said = typer.prompt(translate(f"{question} ({choices})")).strip()
        if said.casefold() == _PASS:
            return None
        if said.upper() in LESION_TYPES:
            return str(said.upper())
        say(f"one of {choices}")


def _log(path: Path | None, place: SiteConfig, reader: str, role: StrEnum | None) -> AssistLog | None:
    if path is None:
        return None
    if not reader.strip() or role is None:
        raise ExpectedError("a reader's log needs --reader NAME and --role " + "|".join(ROLES))
    log = AssistLog(path, place, Reader(reader.strip(), str(role)))
    log.open()
    return log


def _rows(place: SiteConfig, line: int | None) -> tuple[list[Row], list[Fault]]:
    """The lesions asked for, and what is wrong with others. Raises FaultList where none is left."""
    manifest = read_manifest(place, unseen=True)
    rows, faults, header = list(manifest.rows), list(manifest.faults), manifest.header_row
    if line is not None:
        rows = [row for row in rows if row.line == line]
        faults = [fault for fault in faults if fault.row in (line, header, None)]
    if not rows and faults:
        raise FaultList(faults)
    if not rows:
        what = "no lesion" if line is None else f"no lesion in row {line}"
        raise ExpectedError(f"{place.table.name} holds {what}; the header is in row {header}")
    return rows, [fault for fault in faults if fault.row not in {row.line for row in rows}]


def _print(console: Terminal, model: Bundle, answers: Sequence[AnsweredLesion], target: Path) -> None:
    if not answers:
        return
    table = Table("row", "lesion", "type", "probability", "to mind")
    for answered in answers:
        table.add_row(*_cells(answered))
    console.print(table)
    console.print(f"bundle {model.fingerprint[:16]}; pages (HTML, PDF) and JSON: {escape(str(target))}", soft_wrap=True)


def _cells(answered: AnsweredLesion) -> Iterator[str]:
    prediction = answered.prediction
    yield str(answered.row.line)
    yield prediction.lesion.sample.key
    yield prediction.answer + (" (all five nets low)" if prediction.other_since_low else "")
    yield format_percent(prediction.probabilities[prediction.answer])
    yield "\n".join(("! " if one.serious else "") + escape(one.text) for one in prediction.cautions) or "nothing"


def _line(answered: AnsweredLesion) -> str:
    _, key, kind, probability, _ = _cells(answered)
    return f"the model: {kind}, {probability} (lesion {key})"


def _print_json(model: Bundle, answers: Sequence[AnsweredLesion], faults: Sequence[Fault]) -> None:
    found: dict[str, Any] = {
        "ok": not faults,
        "notice": RESEARCH_ONLY,
        "bundle": model.fingerprint,
        "answers": [answered.found for answered in answers],
        "faults": [as_json(fault) for fault in faults],
    }
    typer.echo(json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False))
