"""Every text that a site shows has a Chinese one, with the same values, and no other."""

from __future__ import annotations

from pathlib import Path

import polib
import pytest

from ceus_models.runtime.exit_codes import run_app
from client.faults.catalogue import REASONS, SECTIONS
from client.translation import __main__ as command
from client.translation.catalogue import CATALOGUE, load_language, read_catalogue
from client.translation.review import find_trouble, renew
from client.translation.texts import Text, collect_texts, list_unmarked

HOW = "run: python -m client.translation --write, and translate what it lists"


def test_nothing_is_missing_stale_or_with_other_values() -> None:
    assert list(find_trouble(read_catalogue(), collect_texts())) == [], HOW


def test_no_text_of_a_page_is_outside_its_marks() -> None:
    assert list_unmarked() == [], "put it between {% trans %} and {% endtrans %}"


def test_every_reason_for_a_fault_is_translated() -> None:
    translate = load_language().translate
    shown = [text for reason in REASONS.values() for text in (reason.meaning, reason.remedy)]
    sections = [title for title in SECTIONS if not title.endswith((".yaml", ".csv"))]
    assert [text for text in (*shown, *sections) if translate(text) == text] == []


@pytest.mark.parametrize(
    ("entry", "texts", "said"),
    [
        (None, ["a new text"], "missing: a new text (x.py)"),
        (("a text", ""), ["a text"], "missing: a text (x.py)"),
        (("an old text", "旧"), [], "stale: an old text"),
        (("{0} of {1}", "{0}"), ["{0} of {1}"], "other values: {0} of {1} → {0}"),
        (("run `ls`", "运行"), ["run `ls`"], "other values: run `ls` → 运行"),
        (("[red]no[/]", "否"), ["[red]no[/]"], "other values: [red]no[/] → 否"),
    ],
)
def test_trouble_is_found(entry: tuple[str, str] | None, texts: list[str], said: str) -> None:
    catalogue = polib.POFile()
    if entry:
        catalogue.append(polib.POEntry(msgid=entry[0], msgstr=entry[1]))
    assert list(find_trouble(catalogue, {one: Text(one, places=["x.py"]) for one in texts})) == [said]


def test_the_command_brings_the_catalogue_to_the_texts_and_keeps_translations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spoilt, copy = read_catalogue(), tmp_path / "zh_CN.po"
    gone = spoilt.pop(0)
    spoilt.append(polib.POEntry(msgid="a text of yesterday", msgstr="旧"))
    spoilt.save(str(copy))
    monkeypatch.setattr(command, "CATALOGUE", copy)
    monkeypatch.setattr(command, "read_catalogue", lambda: polib.pofile(str(copy)))
    assert run_app(command.app, []) == 1
    told = capsys.readouterr().out
    assert f"missing: {gone.msgid} (" in told
    assert "stale: a text of yesterday" in told
    assert run_app(command.app, ["--write"]) == 1  # the new text waits for its translation
    renewed = polib.pofile(str(copy))
    assert [entry.msgid for entry in renewed if not entry.translated()] == [gone.msgid]
    assert [entry.msgid for entry in renewed] == [entry.msgid for entry in read_catalogue()]


def test_the_file_is_as_the_command_writes_it(tmp_path: Path) -> None:
    renewed = tmp_path / "zh_CN.po"
    renew(read_catalogue(), collect_texts()).save(str(renewed))
    assert renewed.read_text(encoding="utf-8") == CATALOGUE.read_text(encoding="utf-8"), HOW
