"""The Chinese texts use the terms of docs/glossary.md."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from client.translation.catalogue import read_catalogue
from client.translation.review import translation_of

PAGE = Path(__file__).parents[3] / "docs" / "glossary.md"
NO_WORDS = re.compile(r"`[^`]*`|<code>.*?</code>|%\(\w+\)s|\S*[_/.=]\w\S*|\bKIT\b|\bBUNDLE\b|^roster:.*")
"""Code, names of files and keys, placeholders."""
OTHERWISE: Mapping[str, str] = {
    "a worker process ended before its work was done ({0})": "a process of a pool, not the site's half with the data",
    "give the machine more memory or the command fewer workers, and start it again: it goes on from here": "the same",
    "a worker process cannot start": "the same",
    "Reading a lesion exceeded the memory limit of a worker.": "the same",
    "a mask has one level inside the lesion and 0 outside": "a number of a file",
    "several levels": "the same",
    "a circle has its center and a point of its border": "of a shape",
    "put the file where the clips column says, or correct the cell": "the name of a column",
    "put the file where the outline column says, or correct the cell": "the name of a column",
    "caps.clip_required is true, the task's rule has no clip": "clipping of gradients",
    "clip to {0}": "clipping of gradients",
    "the file has at most {0} levels": "depth of a YAML document",
    "{0} for {1} s, {2} requests answered": "a request to a process",
    "working for {0} s, {1} requests answered": "the same",
    "waiting for {0} s, {1} requests answered": "the same",
}
"""Text → why its word is not the glossary's term."""


def read_terms() -> Mapping[str, Sequence[str]]:
    """English term or abbreviation → its Chinese forms, of which one must stand."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and not line.startswith("| term"):
            term, _, chinese = (cell.strip() for cell in line.strip("|").split("|"))
            for name in list_names(term):
                found[name] += [form for form in re.split(r"[（）、/]", chinese) if form]
    return found


def list_names(term: str) -> Iterator[str]:
    """The term without what stands in brackets, and its abbreviation; nothing for a term of several words by commas."""
    base = re.sub(r" \([^)]*\)", "", term)
    if "," not in base:
        yield base
        yield from re.findall(r"\(([A-Z][A-Za-z-]*[A-Z])\)", term)


def misses(english: str, chinese: str, terms: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The terms of a text that its translation does not have; an abbreviation may stay as it is."""
    words = NO_WORDS.sub(" ", english)
    for term, forms in terms.items():
        is_short = term.upper() == term or "-C" in term
        if re.search(rf"(?<![\w-]){re.escape(term)}s?(?![\w-])", words, 0 if is_short else re.IGNORECASE) and not any(
            form in chinese for form in (*forms, *([term] if is_short else []))
        ):
            yield term


def test_the_texts_use_the_terms_of_the_glossary() -> None:
    terms, wrong = read_terms(), []
    for entry in read_catalogue():
        english, chinese = f"{entry.msgid} {entry.msgid_plural}", translation_of(entry)
        if entry.msgid not in OTHERWISE:
            wrong += [f"{term} {terms[term]}: {entry.msgid} → {chinese}" for term in misses(english, chinese, terms)]
    assert not wrong, "\n".join(wrong)


def test_an_exception_is_needed() -> None:
    terms, entries = read_terms(), {entry.msgid: translation_of(entry) for entry in read_catalogue()}
    assert [text for text in OTHERWISE if not list(misses(text, entries[text], terms))] == []


def test_a_wrong_term_is_found() -> None:
    terms = read_terms()
    assert list(misses("the arterial phase of the clip", "动脉相的影像片段", terms)) == ["arterial phase"]
    assert list(misses("the arterial phase of the clip", "动脉期的影像片段", terms)) == []
    assert list(misses("the CEUS examination", "超声造影检查", terms)) == []
