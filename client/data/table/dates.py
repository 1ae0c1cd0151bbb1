"""Parse dates in the formats that hospitals use; 03/04/2021 has two possible meanings."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import date, timedelta

_TIME = re.compile(r"(?:\s+|(?<=\d)T)\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?Z?$", re.ASCII)
_YEAR_FIRST = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?", re.ASCII)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)
_YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})", re.ASCII)
_MONTH_NAMED = re.compile(r"(\d{1,2})[\s.-]*([A-Za-z]{3,9})[\s.,-]*(\d{4})", re.ASCII)
_MONTH_LEADS = re.compile(r"([A-Za-z]{3,9})[\s.-]*(\d{1,2})[\s.,-]+(\d{4})", re.ASCII)
_SERIAL = re.compile(r"(\d{5})(?:\.\d*)?", re.ASCII)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_EXCEL_DAY_0 = date(1899, 12, 30)
"""Excel counts 1900 as a leap year, which moves its day 0 back by one."""
_SERIALS = range(36526, 54789)
"""2000 to 2049: another number of five digits is no date."""
_YEARS = range(1900, 2101)


def interpret_date(text: str, order: str | None) -> list[date]:
    """The dates that a text may mean: none, one, or two. A time of day after the date is ignored.

    Args:
        order: "day-first" or "month-first" for dates with the year last; None where the site does not state it. Dots
            mean day first unless it is "month-first".

    >>> [str(day) for day in interpret_date("03/04/2021", None)]
    ['2021-03-04', '2021-04-03']
    >>> [str(day) for day in interpret_date("2021年4月3日", None)]
    ['2021-04-03']
    """
    plain = _TIME.sub("", unicodedata.normalize("NFKC", text).strip())
    return sorted({day for parts in _list_readings(plain, order) if (day := _make_date(*parts)) is not None})


def _list_readings(text: str, order: str | None) -> Iterator[tuple[int, int, int]]:
    """Year, month and day of every reading."""
    if match := _YEAR_FIRST.fullmatch(text) or _COMPACT.fullmatch(text):
        yield int(match[1]), int(match[2]), int(match[3])
    elif match := _YEAR_LAST.fullmatch(text):
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        if order != "month-first":
            yield year, second, first
        if order == "month-first" or (order is None and match[2] != "."):
            yield year, first, second
    elif match := _MONTH_NAMED.fullmatch(text):
        yield int(match[3]), _parse_month(match[2]), int(match[1])
    elif match := _MONTH_LEADS.fullmatch(text):
        yield int(match[3]), _parse_month(match[1]), int(match[2])
    elif (match := _SERIAL.fullmatch(text)) and int(match[1]) in _SERIALS:
        day = _EXCEL_DAY_0 + timedelta(days=int(match[1]))
        yield day.year, day.month, day.day


def _parse_month(name: str) -> int:
    short = name[:3].casefold()
    return _MONTHS.index(short) + 1 if short in _MONTHS else 0


def _make_date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day) if year in _YEARS else None
    except ValueError:
        return None
