"""All texts that the catalogue must hold: of the code, of the pages' templates, and the words of their own."""

from __future__ import annotations

from dataclasses import dataclass, field

from ceus_models.web.page_texts import list_messages, list_untranslated
from client.translation.code_texts import list_texts
from client.translation.shown import NO_TEXTS, ROOT, WORDS, list_modules, list_pages


@dataclass
class Text:
    """A text. plural: where a number decides, else "" · places: the files that it is in."""

    text: str
    plural: str = ""
    places: list[str] = field(default_factory=list)


def collect_texts() -> dict[str, Text]:
    """English text → where it is, in the order of the files."""
    found: dict[str, Text] = {}

    def add(text: str, plural: str, place: str) -> None:
        known = found.setdefault(text, Text(text))
        known.plural = known.plural or plural
        if place not in known.places:
            known.places.append(place)

    for path in list_modules():
        place = path.relative_to(ROOT).as_posix()
        for text in list_texts(path):
            if text not in NO_TEXTS:
                add(text, "", place)
    for path in list_pages():
        for text, plural in list_messages(path.read_text(encoding="utf-8")):
            add(text, plural, path.relative_to(ROOT).as_posix())
    for word in WORDS:
        add(word, "", "client/translation/shown.py")
    return found


def list_unmarked() -> list[str]:
    """`page: text` of what stands in a template outside `{% trans %}`."""
    return [
        f"{path.relative_to(ROOT).as_posix()}: {text}"
        for path in list_pages()
        for text in list_untranslated(path.read_text(encoding="utf-8"))
    ]
