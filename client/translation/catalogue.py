"""The catalogue as a language: client/translation/zh_CN.po, read with polib."""

from __future__ import annotations

from pathlib import Path

import polib

from ceus_models.runtime.language.reader_language import Language
from client.translation.matcher import Matcher

CATALOGUE = Path(__file__).with_name("zh_CN.po")
TAG = "zh-CN"


def read_catalogue() -> polib.POFile:
    """All entries, also those without a translation."""
    return polib.pofile(str(CATALOGUE))


def load_language() -> Language:
    """Simplified Chinese. A text that the catalogue does not hold stays English."""
    entries = read_catalogue().translated_entries()
    messages = {entry.msgid: entry.msgstr for entry in entries if entry.msgstr}
    numbered = {entry.msgid: entry.msgstr_plural[0] for entry in entries if entry.msgstr_plural}

    def ngettext(one: str, several: str, count: int) -> str:
        return numbered.get(one, one if count == 1 else several)

    return Language(TAG, Matcher(messages).translate, lambda text: messages.get(text, text), ngettext)
