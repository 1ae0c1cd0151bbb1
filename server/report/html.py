"""Small pieces of HTML. Plain text is escaped on its way in: site names and reasons come from elsewhere."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


class Html(str):
    """Text that already is HTML; every other string is escaped before it enters the page."""

    __slots__ = ()


Cell = str | Html


def escaped(text: Cell) -> Html:
    """The text as HTML."""
    return text if isinstance(text, Html) else Html(html.escape(text))


def joined(parts: Iterable[Cell]) -> Html:
    """The parts one after the other."""
    return Html("\n".join(escaped(part) for part in parts if part))


def tag(name: str, content: Cell, kind: str = "") -> Html:
    """One element with an optional class."""
    attribute = f' class="{html.escape(kind)}"' if kind else ""
    return Html(f"<{name}{attribute}>{escaped(content)}</{name}>")


def paragraph(text: Cell, kind: str = "") -> Html:
    """A paragraph."""
    return tag("p", text, kind)


def table(head: Sequence[Cell], rows: Iterable[Sequence[Cell]], caption: Cell = "", kind: str = "") -> Html:
    """A table whose first column heads its rows; it scrolls sideways by itself where the window is narrow."""
    top = "".join(f'<th scope="col">{escaped(cell)}</th>' for cell in head)
    header = f"<thead><tr>{top}</tr></thead>" if any(head) else ""
    body = "\n".join(_row(row) for row in rows)
    title = f"<caption>{escaped(caption)}</caption>" if caption else ""
    inner = f"<table>{title}{header}<tbody>{body}</tbody></table>"
    return Html(f'<div class="{html.escape(f"table {kind}".strip())}" tabindex="0">{inner}</div>')


def _row(row: Sequence[Cell]) -> str:
    first, *rest = (escaped(cell) for cell in row)
    cells = "".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in rest)
    return f'<tr><th scope="row">{first}</th>{cells}</tr>'


def figure(drawing: str | None, caption: Cell = "") -> Html:
    """An inline drawing with its caption; nothing where there is no drawing."""
    if drawing is None:
        return Html("")
    title = f"<figcaption>{escaped(caption)}</figcaption>" if caption else ""
    return Html(f"<figure>{drawing}{title}</figure>")


def grid(parts: Iterable[Html], kind: str = "") -> Html:
    """Figures side by side, as many as fit; nothing where there are none."""
    content = joined(parts)
    return tag("div", content, f"grid {kind}".strip()) if content else Html("")


def details(summary: str, content: Html) -> Html:
    """Content that opens on a click; nothing where there is none."""
    inner = f"<summary>{escaped(summary)}</summary>{content}"
    return Html(f"<details>{inner}</details>") if content else Html("")


def section(anchor: str, title: str, parts: Iterable[Html]) -> Html:
    """A section with its heading; nothing where it has no content."""
    content = joined(parts)
    if not content:
        return Html("")
    return Html(f'<section id="{html.escape(anchor)}"><h2>{escaped(title)}</h2>\n{content}\n</section>')
