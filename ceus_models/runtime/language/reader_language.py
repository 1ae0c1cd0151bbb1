"""The language in which a person reads what is printed and shown: English, until another one is chosen.

Texts are written in English where they arise, and stay so in JSON, logs and records. What shows them to a person asks
here for the same text in the reader's language.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


def _keep(text: str) -> str:
    return text


def _keep_number(one: str, several: str, count: int) -> str:
    return one if count == 1 else several


class Verbatim(str):
    """A value, such as the name of a file or of a column, that is shown as it is in every language."""

    __slots__ = ()


@dataclass(frozen=True)
class Language:
    """A language.

    Args:
        tag: as HTML has it (BCP 47).
        translate: a text as it was written in English, its values filled in → the same in this language.
        gettext: a message of a page, its values not filled in.
        ngettext: the same where it depends on a number: singular, plural, number.
    """

    tag: str
    translate: Callable[[str], str] = _keep
    gettext: Callable[[str], str] = _keep
    ngettext: Callable[[str, str, int], str] = _keep_number


ENGLISH = Language("en")
_current: ContextVar[Language] = ContextVar("language", default=ENGLISH)


def find_language() -> Language:
    """The language of this context: of the command, or of the request that is answered."""
    return _current.get()


def use_language(language: Language) -> None:
    """From now on, in this context."""
    _current.set(language)


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """A language for a while."""
    before = _current.set(language)
    try:
        yield
    finally:
        _current.reset(before)


def translate(text: str) -> str:
    """A text of ours in the language of this context."""
    return _current.get().translate(text)
