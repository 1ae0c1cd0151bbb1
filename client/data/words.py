"""One spelling of what people type: letters of any width and case, without characters that nobody sees."""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = r"\s\u00ad\u200b-\u200f\u2060\ufeff"
"""Spaces, soft hyphens, marks without width or of direction, and the byte order mark."""
_ENDS = re.compile(f"^[{_INVISIBLE}]+|[{_INVISIBLE}]+$")


def strip_invisible(text: str) -> str:
    """A text without the spaces, byte order marks and marks without width at its ends.

    >>> strip_invisible("\ufeff lesion_id\u200b")
    'lesion_id'
    """
    return _ENDS.sub("", text)


def fold_word(text: str) -> str:
    """One spelling of a word: full-width and half-width forms, capital and small letters are the same.

    >>> fold_word(" ＬＥＳＩＯＮ")
    'lesion'
    """
    return strip_invisible(unicodedata.normalize("NFKC", text)).casefold()
