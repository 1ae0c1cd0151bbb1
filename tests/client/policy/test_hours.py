"""When a site answers: across midnight, by the day on which the night begins, and by the wall clock."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from pydantic import ValidationError

from client.policy.hours import Hours

FRIDAY = datetime.date(2026, 11, 20)


def at(clock: str, days: int = 0, zone: str = "+08:00") -> datetime.datetime:
    """A time by the clock of Shanghai, some days after a Friday."""
    return datetime.datetime.fromisoformat(f"{FRIDAY + datetime.timedelta(days=days)}T{clock}:00{zone}")


NIGHTS = Hours("18:00", "07:00", "Asia/Shanghai", ("mon", "tue", "wed", "thu", "fri"))


@pytest.mark.parametrize(
    ("clock", "days", "holds"),
    [
        ("17:59", 0, False),
        ("18:00", 0, True),
        ("23:59", 0, True),
        ("00:00", 1, True),  # Saturday, but the night is Friday's
        ("06:59", 1, True),
        ("07:00", 1, False),
        ("18:00", 1, False),  # Saturday night is nobody's
        ("03:00", 2, False),
        ("03:00", 3, False),  # Monday morning is Sunday's night
        ("18:00", 3, True),
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_begins(clock: str, days: int, holds: bool) -> None:
    assert NIGHTS.contain(at(clock, days)) is holds


def test_hours_within_a_day_and_a_whole_day() -> None:
    day = Hours("08:30", "17:00", "Asia/Shanghai")
    assert [day.contain(at(clock)) for clock in ("08:29", "08:30", "16:59", "17:00")] == [False, True, True, False]
    weekend = Hours("00:00", "24:00", "Asia/Shanghai", ("sat", "sun"))
    assert [weekend.contain(at("00:00", day)) for day in (0, 1, 2, 3)] == [False, True, True, False]
    assert weekend.contain(at("23:59", 2))


def test_the_time_is_the_hospitals_whatever_the_clock_of_the_machine_says() -> None:
    assert NIGHTS.contain(at("10:00", zone="+00:00"))  # 18:00 in Shanghai
    assert not NIGHTS.contain(at("09:59", zone="+00:00"))


def test_the_wall_clock_counts_when_the_clocks_change() -> None:
    berlin = Hours("01:00", "04:00", "Europe/Berlin")
    winter = datetime.datetime(2026, 1, 10, 2, 30, tzinfo=datetime.UTC)  # 03:30 in Berlin
    summer = datetime.datetime(2026, 7, 10, 2, 30, tzinfo=datetime.UTC)  # 04:30 in Berlin
    assert (berlin.contain(winter), berlin.contain(summer)) == (True, False)


@pytest.mark.parametrize(
    "change",
    [
        {"open": "7:00"},
        {"open": "24:30"},
        {"open": "18:00", "close": "18:00"},
        {"open": "00:00", "close": "00:00"},
        {"zone": "Shanghai"},
        {"zone": "../../etc/passwd"},
        {"days": ()},
        {"days": ("someday",)},
    ],
)
def test_impossible_hours_are_faults(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Hours(**{"open": "08:00", "close": "17:00", "zone": "Asia/Shanghai", **change})
