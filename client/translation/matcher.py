"""Translates a finished text: finds the template that it was made from, and fills in the values in the other language.

So a text needs no mark where it arises. A template is the text with {0}, {1} … in place of its values. A text of
several clauses (`; ` between them) is translated clause by clause, a value that is a text itself by the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

PLACEHOLDER = re.compile(r"\{(\d+)\}|\bFOLDER\b")
"""A value, or the word that stands for the site's folder until it is known."""
_STRONG = 5
"""With fewer letters of its own a template takes no value with a blank in it, but for a number with its unit, and what
follows a colon: it would take whole sentences."""
_NUMBER_OR_WORD = r"(\S+?|[\d.]+ (?:s|min|h|B|kB|MB|GB))"
_BEFORE_ANOTHER = r"([^\s,(]*)"
"""A value that another one follows at once, which begins with a blank, a comma or a bracket."""
_KEPT = 4096
_CHINESE = re.compile(r"[\u3001-\u303f\u4e00-\u9fff\uff00-\uffef]")
"""Signs and their full-width punctuation."""
_MARKS = "，。：；（）、"


@dataclass(frozen=True)
class _Template:
    """own: signs that are no value: the template with most of them fits best · anchor: its longest piece."""

    pattern: re.Pattern[str]
    names: tuple[str, ...]
    translation: str
    own: int
    anchor: str


class Matcher:
    """Translates by a catalogue of templates."""

    def __init__(self, messages: Mapping[str, str]) -> None:
        """messages: English template → translation."""
        self._exact = {source: target for source, target in messages.items() if not _names(source)}
        self._templates = sorted(
            (_compile(source, target) for source, target in messages.items() if _names(source)),
            key=lambda one: -one.own,
        )
        self._find = lru_cache(_KEPT)(self._match)

    def translate(self, text: str) -> str:
        """The text in the other language; what no template fits stays as it is."""
        return "\n".join(map(self._translate_line, text.split("\n"))) if text else text

    def _translate_line(self, line: str) -> str:
        inner = line.strip()
        if inner in self._exact:
            return line.replace(inner, self._exact[inner], 1)
        return line.replace(inner, self._translate_value(inner), 1) if inner else line

    def _translate_value(self, text: str) -> str:
        """One word alone is a value of a file, such as `yes`, not a text."""
        if " " not in text:
            return text
        clauses = split_clauses(text)
        if len(clauses) > 1:
            return _join(clauses, [self._translate_value(clause) for clause in clauses], "; ", "；")
        return self._find(text)

    def _match(self, text: str) -> str:
        found = self._exact.get(text) or self._try_like(text) or self._fit(text, is_place_apart=True)
        if found is None:
            found = self._try_place(text) or self._fit(text, is_place_apart=False) or self._try_pieces(text)
        return found

    def _fit(self, text: str, is_place_apart: bool) -> str | None:
        """By a template. is_place_apart: its first value holds no `: `, which parts a place and what is said of it."""
        for template in self._templates:
            found = template.pattern.fullmatch(text) if template.anchor in text else None
            if found and not (is_place_apart and not found.start(1) and ": " in found[1]):
                values = dict(zip(template.names, map(self._translate_part, found.groups()), strict=True))
                return _fill(template.translation, values)
        return None

    def _translate_part(self, value: str) -> str:
        """A value in a text, with the blanks around it."""
        inner = value.strip()
        return value.replace(inner, self._translate_value(inner), 1) if inner else value

    def _try_like(self, text: str) -> str | None:
        """Several of one kind: every piece fits the same template."""
        pieces = text.split(", ")
        if len(pieces) == 1:
            return None
        for template in self._templates:
            if template.anchor in pieces[0] and all(map(template.pattern.fullmatch, pieces)):
                return "，".join(map(self._translate_value, pieces))
        return None

    def _try_place(self, text: str) -> str | None:
        """A place with what is said of it."""
        place, colon, said = text.partition(": ")
        found = self._translate_value(said)
        return f"{self._translate_value(place)}：{found}" if colon and found != said else None

    def _try_pieces(self, text: str) -> str:
        """Sentences one after the other, or a list."""
        for mark, joined in ((" · ", " · "), (". ", "。"), (", ", "，")):
            pieces = text.split(mark)
            if len(pieces) > 1:
                ended = [f"{piece}." if mark == ". " and piece is not pieces[-1] else piece for piece in pieces]
                found = [self._first(one, other) for one, other in zip(ended, pieces, strict=True)]
                if found != pieces:
                    return _join_sentences(found, joined)
        return text

    def _first(self, ended: str, piece: str) -> str:
        """The piece, with its full stop where the catalogue has it so."""
        found = self._translate_value(ended)
        return found if found != ended else self._translate_value(piece)


def split_clauses(text: str) -> list[str]:
    """The clauses of a text, at `; ` outside brackets and `code`.

    >>> split_clauses("expected a (b; c), found `d; e`; write b")
    ['expected a (b; c), found `d; e`', 'write b']
    """
    clauses, start, depth, in_code = [], 0, 0, False
    for place, sign in enumerate(text):
        if sign == "`":
            in_code = not in_code
        elif not in_code:
            depth = max(0, depth + (sign == "(") - (sign == ")"))
            if not depth and text.startswith("; ", place):
                clauses.append(text[start:place])
                start = place + 2
    return [*clauses, text[start:]]


def _fill(translation: str, values: Mapping[str, str]) -> str:
    """With no blank between two Chinese signs, of which one is the template's and one the value's."""
    filled, end = "", 0
    for place in PLACEHOLDER.finditer(translation):
        for piece in (translation[end : place.start()], values.get(place[0], place[0])):
            filled = _append(filled, piece)
        end = place.end()
    return _append(filled, translation[end:])


def _append(text: str, piece: str) -> str:
    if text.endswith(" ") and _CHINESE.match(text[-2:-1]) and _CHINESE.match(piece[:1]):
        return text[:-1] + piece
    if piece.startswith(" ") and _CHINESE.match(piece[1:2]) and (_CHINESE.match(text[-1:]) or piece[1:2] in _MARKS):
        return text + piece[1:]
    return text + piece


def _names(template: str) -> list[str]:
    return [found[0] for found in PLACEHOLDER.finditer(template)]


def _compile(source: str, target: str) -> _Template:
    pieces = PLACEHOLDER.split(source)[::2]
    letters = sum(sign.isalpha() for piece in pieces for sign in piece)
    values = [
        _BEFORE_ANOTHER
        if not after and place < len(pieces) - 2
        else "((?:(?! · ).)*?)"
        if letters >= _STRONG or before.endswith(": ")
        else _NUMBER_OR_WORD
        for place, (before, after) in enumerate(pairwise(pieces))
    ]
    pattern = re.compile("".join(re.escape(piece) + value for piece, value in zip(pieces, [*values, ""], strict=True)))
    return _Template(pattern, tuple(_names(source)), target, sum(map(len, pieces)), max(pieces, key=len))


def _join(before: list[str], after: list[str], mark: str, joined: str) -> str:
    return mark.join(before) if before == after else joined.join(after)


def _join_sentences(found: list[str], joined: str) -> str:
    """With one mark between two of them."""

    def add() -> Iterator[str]:
        for piece in found[:-1]:
            yield piece if piece.endswith(("。", "；", "，")) else piece + joined
        yield found[-1]

    return "".join(add())
