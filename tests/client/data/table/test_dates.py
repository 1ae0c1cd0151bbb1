"""Dates as hospitals write them; what has two readings stays open."""

from __future__ import annotations

from datetime import date

import pytest

from client.data.table.dates import interpret_date

DAY = date(2021, 3, 7)
OPEN = [date(2021, 3, 4), date(2021, 4, 3)]


@pytest.mark.parametrize(
    "text",
    [
        "2021-03-07",
        "2021-3-7",
        "2021/3/7",
        "2021.03.07",
        "20210307",
        "2021年3月7日",
        "2021 年 3 月 7 日",
        "２０２１年３月７日",
        "7.3.2021",
        "07.03.2021",
        "7 Mar 2021",
        "07-MAR-2021",
        "March 7, 2021",
        "44262",
        "44262.35",
        "2021-03-07 00:00:00",
        "2021-03-07T08:30:00",
        "2021/3/7 8:30",
        "  2021-03-07 ",
    ],
)
def test_one_day_in_many_forms(text: str) -> None:
    assert interpret_date(text, None) == [DAY]


@pytest.mark.parametrize(
    ("text", "order", "days"),
    [
        ("03/04/2021", None, OPEN),
        ("03-04-2021", None, OPEN),
        ("03/04/2021", "day-first", [date(2021, 4, 3)]),
        ("03/04/2021", "month-first", [date(2021, 3, 4)]),
        ("3.4.2021", None, [date(2021, 4, 3)]),
        ("3.4.2021", "month-first", [date(2021, 3, 4)]),
        ("25/12/2021", None, [date(2021, 12, 25)]),
        ("12/25/2021", None, [date(2021, 12, 25)]),
        ("12/25/2021", "day-first", []),
        ("25/12/2021", "month-first", []),
        ("05/05/2021", None, [date(2021, 5, 5)]),
    ],
)
def test_day_and_month_are_told_apart_only_where_they_can_be(text: str, order: str | None, days: list[date]) -> None:
    assert interpret_date(text, order) == days


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2021",
        "2021-02-30",
        "2021-13-01",
        "7/3/21",
        "07032021",
        "0",
        "12345",
        "99999",
        "Wang",
        "7 Foo 2021",
        "٣/٤/٢٠٢١",
    ],
)
def test_what_is_no_day_is_none(text: str) -> None:
    assert interpret_date(text, None) == []
