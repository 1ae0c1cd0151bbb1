"""What a cell that breaks a rule was probably meant to be. Only suggested, never taken."""

from __future__ import annotations

import re

_LIMIT = re.compile(r"[<>≤≥＜＞]=?\s*(\d+(?:\.\d+)?)", re.ASCII)
_WITH_UNIT = re.compile(r"(\d+(?:\.\d+)?)\s*[A-Za-zµμ%/^]{1,8}", re.ASCII)
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"\d+,\d+", re.ASCII)


def number_meant(text: str) -> tuple[str | None, str]:
    """The number that a text probably means, or None, and why."""
    if match := _LIMIT.fullmatch(text):
        return match[1], "a value beyond the laboratory's limit is written as the limit"
    if _THOUSANDS.fullmatch(text):
        return text.replace(",", ""), "the commas may part thousands"
    if _DECIMAL_COMMA.fullmatch(text):
        return text.replace(",", "."), "the comma may be a decimal point"
    if match := _WITH_UNIT.fullmatch(text):
        return match[1], "the unit belongs in the header"
    return None, ""
