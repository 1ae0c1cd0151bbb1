"""The texts of a page's template, for its translation: messages of `{% trans %}`, constants that macros are given."""

from __future__ import annotations

import re
from collections.abc import Iterator

import jinja2
from jinja2 import nodes

_TRANSLATED = re.compile(r"\{%-?\s*trans\b.*?endtrans\s*-?%\}", re.DOTALL)
_CODE = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<(style|code)\b.*?</\1>", re.DOTALL)
_READ_ALOUD = re.compile(r'(?:data-label|aria-label|alt|title|placeholder)="([^"]*[A-Za-z]{2,}[^"]*)"')
_TAG = re.compile(r"<[^>]*>|&\w+;|\b(?:class|style)=\"[^\"]*\"|\bfedceus\b|\bSHA-256\b", re.DOTALL)
_WORD = re.compile(r"[A-Za-z]{2,}")
_SENTENCE = re.compile(r"[A-Z][a-z]+|[a-z]{2,},? [a-z]{2,}")
_CALLS = ("gettext", "ngettext")

Message = tuple[str, str]
"""Singular and plural; the plural is "" where no number decides."""


def list_messages(source: str) -> Iterator[Message]:
    """Every text that is translated."""
    parsed = make_parser().parse(source)
    marked = [call for call in parsed.find_all(nodes.Call) if _name(call) in _CALLS]
    for call in marked:
        texts = [one.value for one in call.args if isinstance(one, nodes.Const) and isinstance(one.value, str)]
        yield texts[0], texts[1] if len(texts) > 1 else ""
    within = {id(one) for call in marked for one in call.find_all(nodes.Const)}
    listed = {id(one) for group in parsed.find_all(nodes.List) for one in group.items}
    for constant in parsed.find_all(nodes.Const):
        text = constant.value
        if id(constant) in within or not isinstance(text, str) or not _WORD.search(text):
            continue
        if id(constant) in listed or (_SENTENCE.search(text) and "%" not in text):
            yield text, ""


def list_untranslated(source: str) -> Iterator[str]:
    """Text that stands in the page as it is: it would stay English."""
    shown = _CODE.sub("", _TRANSLATED.sub("", source))
    yield from _READ_ALOUD.findall(shown)
    yield from (text.strip() for text in _TAG.sub("\n", shown).split("\n") if _WORD.search(text))


def make_parser() -> jinja2.Environment:
    """An environment with the extension i18n, in which a message's lines are one."""
    made = jinja2.Environment(
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.policies["ext.i18n.trimmed"] = True
    return made


def _name(call: nodes.Call) -> str:
    return call.node.name if isinstance(call.node, nodes.Name) else ""
