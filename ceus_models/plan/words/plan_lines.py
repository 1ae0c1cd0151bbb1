"""A plan in words as lines of a terminal of 80 columns, in the reader's language."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from rich.cells import cell_len, chop_cells, set_cell_size

from ceus_models.plan.words.plan_text import Line, PlanText
from ceus_models.runtime.language.reader_language import translate

_WIDTH, _LABEL = 80, 20


def format_plan(text: PlanText) -> Iterator[str]:
    """The whole plan, stage by stage."""
    yield translate(f"Study {text.name}")
    yield from _format_lines(text.lines)
    for number, stage in enumerate(text.stages, 1):
        yield ""
        yield f"{number}. {translate(stage.title)}"
        yield from _format_lines(stage.lines)


def _format_lines(lines: tuple[Line, ...]) -> Iterator[str]:
    for what, said in lines:
        first, *others = _wrap(translate(said), _WIDTH - _LABEL) or [""]
        yield set_cell_size(f"   {translate(what)}", _LABEL) + first
        yield from (" " * _LABEL + other for other in others)


def _wrap(text: str, cells: int) -> list[str]:
    """Chinese signs have two cells, and a line may end behind each of them."""
    if cell_len(text) == len(text):
        return textwrap.wrap(text, cells, break_long_words=False)
    return chop_cells(text, cells)
