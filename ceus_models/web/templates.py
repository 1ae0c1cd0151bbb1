"""The one way to HTML: Jinja2 templates of a package over the shared ones. Whatever enters a page is escaped.

A page is in the language of whoever asks for it: its own texts by `{% trans %}`, a text that enters it as it enters.
"""

from __future__ import annotations

import re
import time
from functools import cache
from importlib.resources import files

import jinja2
from markupsafe import Markup, escape

from ceus_models.runtime.findings import split_commands
from ceus_models.runtime.humanize import format_age, format_duration, format_size
from ceus_models.runtime.language.reader_language import find_language, translate
from ceus_models.web.page_texts import make_parser

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
    made = make_parser()
    made.loader = jinja2.ChoiceLoader([jinja2.PackageLoader(name, _PAGES) for name in (package, _SHARED)])
    made.finalize = _finish
    made.install_gettext_callables(_gettext, _ngettext, newstyle=False)  # type: ignore[attr-defined]
    made.filters.update(size=format_size, span=format_duration, age=format_age, clock=_clock)
    made.filters.update(mark_code=_mark_code, mark_commands=_mark_commands)
    made.filters.update(translated=translate)
    made.globals.update(stylesheet=lambda: Markup(stylesheet()), which="", choices=(), languages=())
    made.globals.update(tag=lambda: find_language().tag)
    return made


@jinja2.pass_context  # so that no constant is finished when the template is compiled, in the language of that moment
def _finish(context: jinja2.runtime.Context, value: object) -> object:
    return translate(value) if type(value) is str else value


def _gettext(message: str) -> str:
    return find_language().gettext(message)


def _ngettext(one: str, several: str, count: int) -> str:
    return find_language().ngettext(one, several, count)


def _clock(at: float) -> str:
    """A moment (seconds since 1970) in this machine's time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _mark_code(text: str) -> Markup:
    """A sentence of ours, with what stands in `backticks` as code; the rest of it may come from elsewhere."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(translate(text)))))


def _mark_commands(remedy: str) -> Markup:
    """A remedy, with each command on a line of its own, to be copied."""
    parts = split_commands(translate(remedy))
    return Markup("").join(
        Markup('<code class="command">{}</code>' if is_command else '<span class="remedy">{}</span>').format(text)
        for text, is_command in parts
    )
