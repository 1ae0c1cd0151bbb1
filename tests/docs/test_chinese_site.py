"""docs/zh/site.md follows docs/site.md: its headings, its code, its links, and its tables made by the same command."""

from __future__ import annotations

import re
from pathlib import Path

from ceus_models.runtime.exit_codes import run_app
from ceus_models.runtime.language.reader_language import speaking
from client.cli.handbook import app, fill_tables
from client.translation.language import load_language

DOCS = Path(__file__).parents[2] / "docs"
ENGLISH, CHINESE = DOCS / "site.md", DOCS / "zh" / "site.md"
HOW = "run: python -m client.cli.handbook docs/zh/site.md --lang zh"


def levels(page: Path) -> list[int]:
    """The level of each heading, in their order."""
    return [len(mark) for mark in re.findall(r"^(#+) ", without_code(page), re.MULTILINE)]


def without_code(page: Path) -> str:
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def code(page: Path) -> list[str]:
    """Blocks of code, without their comments."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [re.sub(r" +# .*", "", block) for block in blocks]


def links(page: Path) -> list[str]:
    """Files that it names, from the folder of the English page."""
    found = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    return sorted({link.removeprefix("../") for link in found} - {"site.md", "zh/site.md"})


def test_its_headings_follow_the_english_ones() -> None:
    assert levels(CHINESE) == levels(ENGLISH), "a section was added to or taken out of docs/site.md: translate it"


def test_its_commands_and_links_are_the_english_ones() -> None:
    assert code(CHINESE) == code(ENGLISH)
    assert links(CHINESE) == links(ENGLISH)


def test_the_rows_of_its_tables_are_as_many() -> None:
    rows = [len(re.findall(r"^\|", without_code(page), re.MULTILINE)) for page in (CHINESE, ENGLISH)]
    assert rows[0] == rows[1]


def test_its_commands_in_the_text_are_all_there() -> None:
    def commands(page: Path) -> set[str]:
        return {" ".join(found.split()) for found in re.findall(r"`(ceus-[^`]+)`", without_code(page))}

    assert commands(ENGLISH) - commands(CHINESE) == set()


def test_its_tables_are_up_to_date(tmp_path: Path) -> None:
    text = CHINESE.read_text(encoding="utf-8")
    with speaking(load_language("zh")):
        assert fill_tables(text) == text, HOW
    page = tmp_path / "site.md"
    page.write_text(text.replace("| `lesion_id` |", "| `old` |"), encoding="utf-8")
    assert run_app(app, [str(page), "--lang", "zh"]) == 0
    assert page.read_text(encoding="utf-8") == text


def test_no_cell_of_its_made_tables_stayed_english() -> None:
    made = re.findall(
        r"made by client.cli.handbook -->\n(.*?)\n<!-- end", CHINESE.read_text(encoding="utf-8"), re.DOTALL
    )
    cells = [cell for block in made for line in block.splitlines() if "|" in line for cell in line.split("|")]
    english = [cell for cell in cells if re.search(r"[a-z]{3,} [a-z]{2,} [a-z]{2,}", re.sub(r"`[^`]*`", "", cell))]
    assert english == []


def test_links_within_the_page_lead_to_a_heading() -> None:
    text = CHINESE.read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.+)$", without_code(CHINESE), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    assert [link for link in re.findall(r"\]\(#([^)]+)\)", text) if link not in anchors] == []
