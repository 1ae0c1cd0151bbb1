"""The one way to HTML: Jinja2 templates of a package over the shared ones. Whatever enters a page is escaped."""

from __future__ import annotations

import re
import time
from functools import cache
from importlib.resources import files

import jinja2
from markupsafe import Markup, escape

from ceus_models.runtime.humanize import format_age, format_duration, format_size

_SHARED, _PAGES = "ceus_models.web", "pages"
_CODE = re.compile(r"`([^`]+)`")


def render(package: str, template: str, **values: object) -> str:
    """Fill a template.

    Args:
        package: whose `pages/` holds the template; it may extend and import those of `ceus_models.web`.
        template: the file's name.
        values: what it lays out; a name that it uses and that is not among them raises UndefinedError.
    """
    return _environment(package).get_template(template).render(**values)


def trust(markup: str) -> Markup:
    """Markup that enters a page as it is. Only for what `render` or the canvas of figures made: it is not escaped."""
    return Markup(markup)


@cache
def stylesheet() -> str:
    """The one stylesheet: static pages hold it, the consoles serve it."""
    return files(_SHARED).joinpath(_PAGES, "style.css").read_text(encoding="utf-8")


@cache
def _environment(package: str) -> jinja2.Environment:
    loader = jinja2.ChoiceLoader([jinja2.PackageLoader(name, _PAGES) for name in (package, _SHARED)])
    made = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters.update(size=format_size, span=format_duration, age=format_age, clock=_clock, mark_code=_mark_code)
    made.globals.update(stylesheet=lambda: Markup(stylesheet()), which="", choices=())
    return made


def _clock(at: float) -> str:
    """A moment (seconds since 1970) in this machine's time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _mark_code(text: str) -> Markup:
    """A sentence of ours, with what stands in `backticks` as code; the rest of it may come from elsewhere."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))
