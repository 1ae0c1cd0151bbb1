"""The catalogue knows every reason that the client gives, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import client
from client.faults.catalogue import REASONS, SECTIONS, as_markdown

SLUG = re.compile(r"[a-z]+(?:-[a-z0-9]+)+")
NO_REASONS = {
    "least-sites",  # of the approved bundle
    "ceus-site",
    "approve-roster",
    "plan-digest",
    "fedceus-runner",
    "flower-supernode",
    "content-type",
    "utf-8",
    "utf-8-sig",
    "day-first",
    "month-first",
    "alpha-fetoprotein",
    "sec-fetch-site",
    "content-security-policy",
    "screen-state",  # of the page where panes are drawn
    "x-form",
    "same-origin",
}
"""Words with a hyphen in client/ that are no reasons. A new one is listed here, a new reason in the catalogue."""


def words_of_the_client() -> dict[str, str]:
    """Every hyphenated text in the client's modules apart from the catalogue → the module that has it."""
    found = {}
    for path in sorted(Path(client.__file__).parent.rglob("*.py")):
        if path.stem in ("catalogue", "lesion_reasons", "table_reasons"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and SLUG.fullmatch(node.value):
                found[node.value] = path.name
    return found


def test_every_reason_of_the_client_is_in_the_catalogue_and_no_other() -> None:
    words = words_of_the_client()
    assert len(words) > 30
    unknown = {word: module for word, module in words.items() if word not in REASONS and word not in NO_REASONS}
    assert not unknown, "add them to client/faults/table_reasons.py or lesion_reasons.py"
    assert not set(REASONS) - set(words), "no module gives these reasons any more"
    assert not NO_REASONS & set(REASONS)


def test_a_reason_stands_once_and_says_what_to_do() -> None:
    listed = [reason for section in SECTIONS.values() for reason in section]
    assert len(listed) == len(REASONS)
    for reason in listed:
        assert reason.meaning.endswith(".")
        assert reason.remedy.endswith(".")
        assert "|" not in reason.meaning + reason.remedy


@pytest.mark.parametrize("slug", ["outline-size", "alike-patient-ids"])
def test_the_catalogue_is_a_table_for_the_docs(slug: str) -> None:
    text = as_markdown()
    assert f"| `{slug}` | {REASONS[slug].meaning} | {REASONS[slug].remedy} |" in text
    assert text.count("\n### ") == len(SECTIONS) - 1
