"""The texts of a template: what is marked, what macros are given, and what would stay English."""

from __future__ import annotations

import pytest

from ceus_models.runtime.language.reader_language import Language, Verbatim, speaking
from ceus_models.web import templates
from ceus_models.web.page_texts import list_messages, list_untranslated, make_parser

MARKED = """
{% set heads = ["file", "row"] %}
<p class="box bad">{% trans count=n %}{{ count }} lesion of
this patient{% pluralize %}{{ count }} lesions{% endtrans %}</p>
{{ button("/forget", form, "Forget this patient", "danger") }}
<b>{{ 'Approved:' if ok else 'none' }}</b> <code>ceus-site check</code> {{ "%.2f"|format(x) }}
<th data-label="{% trans %}at{% endtrans %}">{% trans %}at{% endtrans %}</th>
"""


def test_messages_and_constants() -> None:
    assert list(list_messages(MARKED)) == [
        ("%(count)s lesion of this patient", "%(count)s lesions"),
        ("at", ""),
        ("at", ""),
        ("file", ""),
        ("row", ""),
        ("Forget this patient", ""),
        ("Approved:", ""),
    ]


def test_what_is_marked_leaves_nothing() -> None:
    assert list(list_untranslated(MARKED)) == []


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("<p>A text</p>", ["A text"]),
        ('<td data-label="bytes">{{ n }}</td>', ["bytes"]),
        ('<img alt="a curve" src="x">', ["a curve"]),
        ("{% if ok %}yes{% endif %}", ["yes"]),
        ("<p>{{ n }} of {{ m }}</p>", ["of"]),
        ("{# a remark #}<style>p { color: red }</style><b> · 3</b>", []),
    ],
)
def test_what_would_stay_english_is_found(source: str, left: list[str]) -> None:
    assert list(list_untranslated(source)) == left


def test_values_are_translated_as_they_enter_and_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_parser()
    made.finalize = templates._finish
    made.install_gettext_callables(  # type: ignore[attr-defined]
        templates._gettext, templates._ngettext, newstyle=False
    )
    page = made.from_string("{% trans %}at{% endtrans %} {{ value }} {{ kept }} {{ value|e }} {{ n }} {{ 'at' }}")
    chinese = Language("zh-CN", lambda text: {"<b>": "<粗>", "at": "时间"}.get(text, text), lambda text: f"{text}!")
    values = {"value": "<b>", "kept": Verbatim("<b>"), "n": 3}
    assert page.render(values) == "at &lt;b&gt; &lt;b&gt; &lt;b&gt; 3 at"
    with speaking(chinese):
        assert page.render(values) == "at! &lt;粗&gt; &lt;b&gt; &lt;b&gt; 3 时间"
