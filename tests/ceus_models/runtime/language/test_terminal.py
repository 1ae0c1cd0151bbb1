"""What is printed is in the reader's language; what is for machines is not."""

from __future__ import annotations

import json

import pytest
from rich.cells import cell_len
from rich.table import Table

from ceus_models.runtime.findings import make_fault, make_note, make_ok, print_findings
from ceus_models.runtime.language.reader_language import Language, Verbatim, find_language, speaking, translate
from ceus_models.runtime.language.terminal import Terminal, say

WORDS = {"row": "行", "lesion": "病灶", "none": "无", "[red]no[/]": "[red]否[/]", "ok": "正常", "mend it": "请改正"}
CHINESE = Language("zh-CN", lambda text: WORDS.get(text, text))


def test_a_language_holds_within_its_context_alone() -> None:
    with speaking(CHINESE):
        assert (find_language().tag, translate("row")) == ("zh-CN", "行")
        with pytest.raises(KeyError), speaking(Language("x", lambda text: WORDS["gone"])):
            translate("row")
        assert translate("row") == "行"
    assert (find_language().tag, translate("row")) == ("en", "row")


def test_texts_markup_and_cells_are_translated_and_columns_stay_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("row", "lesion")
    table.add_row("none", "a.dcm")
    with speaking(CHINESE):
        out = Terminal()
        out.print("[red]no[/]")
        out.print(table)
        say("row")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "否"
    assert lines[-1] == "行"
    assert [word for word in ("行", "病灶", "无", "a.dcm") if not any(word in line for line in lines[1:-1])] == []
    assert len({cell_len(line) for line in lines[1:-1]}) == 1


def test_findings_for_people_and_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    found = [make_ok("disk", "none"), make_note("row", "none", "mend it"), make_fault("row", "none", "mend it")]
    print_findings(found)
    english = capsys.readouterr().out
    assert english == "ok    disk: none\nnote  row: none\n      → mend it\nFAULT row: none\n      → mend it\n"
    with speaking(CHINESE):
        print_findings(found)
        lines = capsys.readouterr().out.splitlines()
        print_findings(found, as_machine=True)
        document = json.loads(capsys.readouterr().out)
    assert lines == ["正常  disk: 无", "note  行: 无", "      → 请改正", "FAULT 行: 无", "      → 请改正"]
    assert [one["found"] for one in document["findings"]] == ["none"] * 3


def test_a_value_that_stays_is_a_text_like_any_other() -> None:
    assert Verbatim("row") == "row"
    assert isinstance(Verbatim("row"), str)
