"""CSV for people who open it in a spreadsheet: a text never becomes a formula there, and is read back as it was."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")
"""What spreadsheets take for the beginning of a formula (OWASP, CSV injection), full width too."""
_NUMBERS = re.compile(r"(?:[-+.;\s]|\d(?:[eE][-+]?\d+)?)*", re.ASCII)
"""Signs and numbers, also several joined by ";": they call and refer to nothing."""


def format_csv(rows: Iterable[Iterable[object]], end: str = "\r\n") -> str:
    """Rows as CSV. None is a blank cell; texts are quoted against formulas, numbers are not. end: of a line."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end)
    writer.writerows([quote_formula(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return text.getvalue()


def quote_formula(text: str) -> str:
    """A cell that a spreadsheet shows as text; an apostrophe stands before what it would take for a formula.

    >>> quote_formula("=1+1"), quote_formula("-0.5"), quote_formula("P-7")
    ("'=1+1", '-0.5', 'P-7')
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBERS.fullmatch(text) else text


def unquote_formula(text: str) -> str:
    """The cell that `quote_formula` quoted.

    >>> unquote_formula("'=1+1"), unquote_formula("'s")
    ('=1+1', "'s")
    """
    return text[1:] if text.startswith("'") and quote_formula(text[1:]) == text else text
