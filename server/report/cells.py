"""Numbers as table cells: value above, interval below, with what makes them weak said beside them."""

from __future__ import annotations

from dataclasses import dataclass

from server.report.values import SMALL_SUPPORT, Estimate

DASH = "\N{EN DASH}"
COARSE = 0.02
"""From this bound on a metric of a histogram has it below."""


@dataclass(frozen=True)
class Cell:
    """What a table shows in one place. below: smaller lines · kind: its class · tint: the colour of its ground."""

    text: str
    below: tuple[str, ...] = ()
    kind: str = ""
    tint: str = ""


Row = list[str | Cell]
NONE = Cell(DASH)


def format_decimal(value: float | None, form: str = ".3f") -> str:
    """`0.862`, or a dash."""
    return DASH if value is None else f"{value:{form}}"


def format_count(value: int | None) -> str:
    """`1,122`, or a dash."""
    return format_decimal(value, ",")


def format_lesions(value: int | None) -> str:
    """A count of lesions that numbers rest on, marked when it is small."""
    return f"{value}†" if value is not None and 0 < value < SMALL_SUPPORT else format_count(value)


def format_interval(found: Estimate, form: str = ".3f", to: str = DASH) -> tuple[str, ...]:
    """A line from low to high; none where the interval is missing."""
    if found.low is None or found.high is None:
        return ()
    return (f"{found.low:{form}}{to}{found.high:{form}}",)


def format_value(found: Estimate | None, kind: str = "") -> Cell:
    """The value and, smaller, its interval and a coarse bound; a dash where there is no value."""
    if found is None:
        return Cell(DASH, kind=kind)
    coarse = found.resolution is not None and found.resolution >= COARSE
    below = (*format_interval(found), *([f"±{found.resolution:.2g}"] if coarse else []))
    return Cell(f"{found.value:.3f}", below, kind)


def format_reference(found: Estimate | None) -> Cell:
    """A number of the reference study: two digits, as printed there."""
    return (
        Cell(DASH, (), "study") if found is None else Cell(f"{found.value:.2f}", format_interval(found, ".2f"), "study")
    )


def format_correlation(number: float | None, strong: bool = False) -> Cell:
    """A correlation with its sign: blue where positive, orange where negative, the stronger the deeper."""
    if number is None:
        return NONE
    colour = "0, 114, 178" if number > 0 else "213, 94, 0"
    tint = f"rgba({colour}, {min(0.6, abs(number)):.2f})"
    return Cell(f"{round(number, 2) + 0.0:+.2f}", kind="strong" if strong else "", tint=tint)


def format_difference(found: Estimate | None) -> Cell:
    """A difference with its sign and interval; a dash where there is none."""
    return NONE if found is None else Cell(f"{found.value:+.3f}", format_interval(found, "+.3f", " to "))
