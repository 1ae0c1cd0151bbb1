"""A plan in words as lines of a terminal of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from ceus_models.plan.words.plan_text import Line, PlanText

_WIDTH, _LABEL = 80, 20


def format_plan(text: PlanText) -> Iterator[str]:
    """The whole plan, stage by stage."""
    yield f"Study {text.name}"
    yield from _format_lines(text.lines)
    for number, stage in enumerate(text.stages, 1):
        yield ""
        yield f"{number}. {stage.title}"
        yield from _format_lines(stage.lines)


def _format_lines(lines: tuple[Line, ...]) -> Iterator[str]:
    for what, said in lines:
        head, rest = f"   {what:<{_LABEL - 3}}", " " * _LABEL
        yield from textwrap.wrap(said, _WIDTH, initial_indent=head, subsequent_indent=rest, break_long_words=False)
