"""Translates a finished text: finds the template that it was made from, and fills in the values in the other language.

So a text needs no mark where it arises. A template is the text with {0}, {1} … in place of its values. A text of
several clauses (`; ` between them) is translated clause by clause, a value that is a text itself by the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

PLACEHOLDER = re.compile(r"\{(\d+)\}|\bFOLDER\b")
"""A value, or the word that stands for the site's folder until it is known."""
_WEAK = 5
"""With fewer letters of its own a template takes no value with a blank in it, but for a number with its unit: it would
take whole sentences."""
_KEPT = 4096


@dataclass(frozen=True)
class _Template:
    """letters: of its own, by which the most particular template is found · anchor: its longest piece."""

    pattern: re.Pattern[str]
    names: tuple[str, ...]
    translation: str
    letters: int
    anchor: str


class Matcher:
    """Translates by a catalogue of templates."""

    def __init__(self, messages: Mapping[str, str]) -> None:
        """messages: English template → translation."""
        self._exact = {source: target for source, target in messages.items() if not _names(source)}
        self._templates = sorted(
            (_compile(source, target) for source, target in messages.items() if _names(source)),
            key=lambda one: (-one.letters, len(one.names)),
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
        if text in self._exact:
            return self._exact[text]
        for template in self._templates:
            found = template.pattern.fullmatch(text) if template.anchor in text else None
            if found:
                values = dict(zip(template.names, map(self._translate_part, found.groups()), strict=True))
                return _fill(template.translation, values)
        return self._try_pieces(text)

    def _translate_part(self, value: str) -> str:
        """A value in a text, with the blanks around it."""
        inner = value.strip()
        return value.replace(inner, self._translate_value(inner), 1) if inner else value

    def _try_pieces(self, text: str) -> str:
        """A place with what is said of it, sentences one after the other, or a list."""
        place, colon, said = text.partition(": ")
        if colon and (found := self._translate_value(said)) != said:
            return f"{self._translate_value(place)}：{found}"
        for mark, joined in ((". ", "。"), (", ", "，")):
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
    return PLACEHOLDER.sub(lambda one: values.get(one[0], one[0]), translation)


def _names(template: str) -> list[str]:
    return [found[0] for found in PLACEHOLDER.finditer(template)]


def _compile(source: str, target: str) -> _Template:
    pieces = PLACEHOLDER.split(source)[::2]
    letters = sum(sign.isalpha() for piece in pieces for sign in piece)
    value = r"(\S+?|[\d.]+ (?:s|min|h|B|kB|MB|GB))" if letters < _WEAK else "(.*?)"
    pattern = re.compile(value.join(map(re.escape, pieces)))
    return _Template(pattern, tuple(_names(source)), target, letters, max(pieces, key=len))


def _join(before: list[str], after: list[str], mark: str, joined: str) -> str:
    return mark.join(before) if before == after else joined.join(after)


def _join_sentences(found: list[str], joined: str) -> str:
    """With one mark between two of them."""

    def add() -> Iterator[str]:
        for piece in found[:-1]:
            yield piece if piece.endswith(("。", "；", "，")) else piece + joined
        yield found[-1]

    return "".join(add())
