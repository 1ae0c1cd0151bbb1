"""The templates: what comes from elsewhere is escaped, a name that is not given fails, the shared macros lay out."""

from __future__ import annotations

from types import SimpleNamespace

import jinja2
import pytest

from ceus_models.web import templates
from ceus_models.web.templates import render, stylesheet, trust

HOSTILE = "<script>alert('site')</script>"


@pytest.fixture
def macro():
    """Calls a shared macro by its name."""
    module = templates._environment("ceus_models.web").get_template("macros.html").module
    return lambda name, *arguments, **named: str(getattr(module, name)(*arguments, **named))


def test_values_are_escaped_and_trusted_markup_is_not(macro) -> None:
    assert "&lt;script&gt;" in macro("note", HOSTILE)
    assert "<svg></svg>" in macro("figures", [None, trust("<svg></svg>"), ""])
    assert "<svg>" not in macro("figures", ["<svg></svg>"])


def test_every_place_of_a_table_is_escaped(macro) -> None:
    cell = SimpleNamespace(text=HOSTILE, below=(HOSTILE,), kind=HOSTILE, tint=HOSTILE)
    made = macro("table", [HOSTILE], [[HOSTILE, HOSTILE, cell], [cell, 3]], HOSTILE, HOSTILE)
    assert "<script>" not in made
    assert made.count("&lt;script&gt;") == 12
    assert "<td>3</td>" in made


def test_what_is_empty_leaves_nothing(macro) -> None:
    assert macro("table", ["a"], []).strip() == ""
    assert macro("figures", [None, None]).strip() == ""
    assert macro("details", "a", caller=lambda: " \n").strip() == ""


def test_a_sentence_shows_its_backticks_as_code_and_nothing_else() -> None:
    assert templates._mark_code(f"run `a <b>`: {HOSTILE}").startswith("run <code>a &lt;b&gt;</code>: &lt;script&gt;")


def test_a_name_that_is_not_given_fails() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render("ceus_models.web", "base.html")


def test_a_page_of_its_own_asks_for_nothing() -> None:
    page = render("ceus_models.web", "base.html", title=HOSTILE, again=5)
    assert stylesheet() in page
    assert '<meta http-equiv="refresh" content="5">' in page
    assert f"<title>{templates.Markup.escape(HOSTILE)}</title>" in page
    for word in ("<script", "<link", "src=", "url(", "@import", "http:", "https:"):
        assert word not in page
