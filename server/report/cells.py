"""Numbers as table cells: value above, interval below, with what makes them weak said beside them."""

from __future__ import annotations

from server.report.html import Html, escaped
from server.report.values import SMALL_SUPPORT, Estimate

DASH = "\N{EN DASH}"
COARSE = 0.005
"""From this bound on an AUC of a histogram has it below."""


def share(value: float | None) -> str:
    """`43 %`, or a dash."""
    return DASH if value is None else f"{100 * value:.0f} %"


def count(value: int | None) -> str:
    """`1,122`, or a dash."""
    return DASH if value is None else f"{value:,}"


def lesions(value: int | None) -> str:
    """A count of lesions that numbers rest on, marked when it is small."""
    return f"{value}†" if value is not None and 0 < value < SMALL_SUPPORT else count(value)


def interval(found: Estimate) -> str:
    """Low to high, or nothing where the interval is missing."""
    if found.low is None or found.high is None:
        return ""
    return f"{found.low:.3f}{DASH}{found.high:.3f}"


def value(found: Estimate | None, kind: str = "") -> Html:
    """A table cell with the value and, smaller, its interval and a coarse bound; a dash where there is no value."""
    attribute = f' class="{kind}"' if kind else ""
    if found is None:
        return Html(f"<td{attribute}>{DASH}</td>")
    below = interval(found)
    small = f"<small>{escaped(below)}</small>" if below else ""
    if found.resolution is not None and found.resolution >= COARSE:
        small += f"<small>±{found.resolution:.2g}</small>"
    return Html(f"<td{attribute}>{found.value:.3f}{small}</td>")


def published(found: Estimate | None) -> Html:
    """A cell of the reference study: two digits, as printed there."""
    if found is None:
        return Html(f'<td class="study">{DASH}</td>')
    small = "" if found.low is None else f"<small>{found.low:.2f}{DASH}{found.high:.2f}</small>"
    return Html(f'<td class="study">{found.value:.2f}{small}</td>')


def shaded(number: float | None, marked: bool = False) -> Html:
    """A correlation with its sign: blue where positive, orange where negative, the stronger the deeper."""
    if number is None:
        return Html(f"<td>{DASH}</td>")
    colour = "0, 114, 178" if number > 0 else "213, 94, 0"
    weight = ' class="best"' if marked else ""
    tint = min(0.6, abs(number))
    return Html(f'<td{weight} style="background: rgba({colour}, {tint:.2f})">{round(number, 2) + 0.0:+.2f}</td>')


def signed(found: Estimate | None) -> Html:
    """A difference with its sign and interval; a dash where there is none."""
    if found is None:
        return Html(f"<td>{DASH}</td>")
    small = "" if found.low is None else f"<small>{found.low:+.3f} to {found.high:+.3f}</small>"
    return Html(f"<td>{found.value:+.3f}{small}</td>")
