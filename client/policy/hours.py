"""When a site answers: hours of the day and days of the week, by the hospital's own clock."""

from __future__ import annotations

import datetime
import zoneinfo
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)
_ONE_DAY = datetime.timedelta(days=1)


def _check_zone(name: str) -> str:
    try:
        zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("zone must be a name of the tz database, such as Asia/Shanghai or Europe/Berlin") from None
    return name


_Clock = Annotated[str, Field(strict=True, pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")]
_Zone = Annotated[str, Field(strict=True), AfterValidator(_check_zone)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Hours:
    """The hours in which a site answers.

    Attributes:
        open, close: "HH:MM" in `zone`; where close is not after open, the hours end on the next day.
        days: Days on which the hours begin: Saturday 02:00 belongs to the night that begins on Friday.

    >>> night = Hours(open="20:00", close="06:00", zone="Asia/Shanghai", days=("fri",))
    >>> night.contain(datetime.datetime.fromisoformat("2026-01-03T02:00+08:00"))  # a Saturday
    True
    """

    open: _Clock
    close: _Clock
    zone: _Zone
    days: Annotated[tuple[Day, ...], Field(min_length=1)] = DAYS

    @model_validator(mode="after")
    def _check_times(self) -> Hours:
        if _parse_minutes(self.open) % 1440 == _parse_minutes(self.close) % 1440 and (self.open, self.close) != (
            "00:00",
            "24:00",
        ):
            raise ValueError("open and close must differ; for a whole day write 00:00 and 24:00")
        return self

    def contain(self, at: datetime.datetime) -> bool:
        """Whether the site answers at this time (with a time zone)."""
        local = at.astimezone(zoneinfo.ZoneInfo(self.zone))
        now, first, last = local.hour * 60 + local.minute, _parse_minutes(self.open), _parse_minutes(self.close)
        if first < last:
            return first <= now < last and self._begin_on(local)
        return (now >= first and self._begin_on(local)) or (now < last and self._begin_on(local - _ONE_DAY))

    def _begin_on(self, local: datetime.datetime) -> bool:
        return DAYS[local.weekday()] in self.days

    def __str__(self) -> str:
        """The hours in words, for a refusal."""
        days = "every day" if set(self.days) == set(DAYS) else f"on {', '.join(self.days)}"
        return f"{self.open} to {self.close} {self.zone}, {days}"


def _parse_minutes(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)
