"""Compares the catalogue with the texts that it must hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import polib

from client.translation.texts import Text

_PLACEHOLDERS = re.compile(r"\{\d+\}|%\(\w+\)s|\bFOLDER\b|</?\w+>|\[/?[a-z]*\]|`[^`]+`")
_WIDTH = 118


def find_trouble(catalogue: polib.POFile, texts: Mapping[str, Text]) -> Iterator[str]:
    """A line for each text that is missing, held in vain, or translated with other values, code or markup."""
    entries = {entry.msgid: entry for entry in catalogue}
    for text in texts.values():
        entry = entries.get(text.text)
        if entry is None or not translation_of(entry):
            yield f"missing: {text.text} ({', '.join(text.places)})"
    for entry in catalogue:
        shown = texts.get(entry.msgid)
        if shown is None or (shown.plural and shown.plural != entry.msgid_plural):
            yield f"stale: {entry.msgid}"
        elif translation_of(entry) and not _has_same_values(entry):
            yield f"other values: {entry.msgid} → {translation_of(entry)}"


def translation_of(entry: polib.POEntry) -> str:
    """Its one form: Chinese has no plural."""
    return entry.msgstr_plural.get(0, "") if entry.msgid_plural else entry.msgstr


def renew(catalogue: polib.POFile, texts: Mapping[str, Text]) -> polib.POFile:
    """The catalogue with exactly these texts, in the order of the code; new ones have no translation yet."""
    known = {entry.msgid: translation_of(entry) for entry in catalogue}
    made = polib.POFile(wrapwidth=_WIDTH)
    made.metadata = dict(catalogue.metadata)
    for text in texts.values():
        said = known.get(text.text, "")
        made.append(
            polib.POEntry(
                msgid=text.text,
                msgid_plural=text.plural,
                msgstr="" if text.plural else said,
                msgstr_plural={0: said} if text.plural else {},
                occurrences=[(place, "") for place in text.places],
            )
        )
    return made


def _has_same_values(entry: polib.POEntry) -> bool:
    ours = _PLACEHOLDERS.findall(entry.msgid_plural or entry.msgid)
    return sorted(ours) == sorted(_PLACEHOLDERS.findall(translation_of(entry)))
