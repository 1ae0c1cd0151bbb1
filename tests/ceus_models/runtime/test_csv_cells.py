"""No CSV that is written has a formula, every text is read back as it was, and there is one way to write one."""

from __future__ import annotations

import ast
import csv
import io
from pathlib import Path

import pytest

import client
import server
import sim
from ceus_models.runtime.csv_cells import format_csv, quote_formula, unquote_formula

FORMULAS = [
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    " =1+1",
    "＝1+1",
    '=HYPERLINK("http://a","b")',
    "+E5",
    "-A1",
]
PLAIN = ["", "-", "--", "-0.5", "+4", "-5;60.2", "1e-3", "-1.5E+3", "P-7", "2021-03-07", "'s", "'", "3 = 4", "张伟"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_becomes_text_and_is_read_back(text: str) -> None:
    assert quote_formula(text) == f"'{text}"
    assert unquote_formula(quote_formula(text)) == text


@pytest.mark.parametrize("text", PLAIN)
def test_other_texts_and_numbers_stay(text: str) -> None:
    assert quote_formula(text) == text == unquote_formula(text)


def test_rows_are_csv_with_blanks_numbers_and_quotes() -> None:
    written = format_csv([["a", "b"], [None, -1.5], ["=x", 'say "yes", now']])
    assert list(csv.reader(io.StringIO(written, newline=""))) == [["a", "b"], ["", "-1.5"], ["'=x", 'say "yes", now']]
    assert format_csv([["a"]], "\n") == "a\n"


@pytest.mark.parametrize("package", [client, server, sim], ids=lambda package: package.__name__)
def test_nothing_else_writes_csv(package: object) -> None:
    paths = Path(str(package.__file__)).parent.rglob("*.py")  # type: ignore[attr-defined]
    calls = [
        f"{path}:{node.lineno}"
        for path in paths
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("writer", "DictWriter", "to_csv")
    ]
    assert calls == []
