"""The pages of operation and security: messages that the programs say, files that are there, gaps that are named."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from deployment_files import ROOT

from ceus_models.plan.terms.participation import Fate

OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
MODEL = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
CODE = ("ceus_models", "client", "server")
MESSAGE_TABLES = ("the coordinator sees", "the site sees", "message", "seen")


def said_by_the_code() -> str:
    """All texts of the programs; what is filled in at run time stands as `…`."""
    texts = []
    for package in CODE:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    texts.append("".join(_part(value) for value in node.values))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    texts.append(node.value)
    return "\n".join(texts)


def _part(value: ast.expr) -> str:
    return str(value.value) if isinstance(value, ast.Constant) else "…"


def quoted() -> Iterator[str]:
    """The messages of the first column of every table of messages."""
    heading = ""
    for line in OPERATIONS.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("|"):
            heading = ""
        elif not heading:
            heading = cells[0].strip("| ")
        elif heading in MESSAGE_TABLES:
            yield from re.findall(r"`([^`]+)`", cells[0])


def pattern(message: str) -> str:
    """A `…` of the page may stand for more, or for less, than one part that the code fills in."""
    return r"[^\n]*?".join(re.escape(part) for part in message.split("…"))


@pytest.fixture(scope="module")
def code() -> str:
    return said_by_the_code()


def test_every_message_on_the_page_is_one_that_the_programs_say(code: str) -> None:
    messages = list(quoted())
    assert len(messages) > 50
    unknown = [message for message in messages if not re.search(pattern(message), code)]
    assert unknown == []


def test_a_message_that_nobody_says_would_be_found(code: str) -> None:
    assert not re.search(pattern("its courier is on holiday"), code)
    assert re.search(pattern("it went away and did not come back within … s"), code)


@pytest.mark.parametrize(
    "fault",
    [
        "crashed",
        "exception",
        "hangs",
        "garbage",
        "NaN",
        "1e30",
        "wrong shape",
        "missing and extra|missing or extra",
        "dtype",
        "negative, zero or huge weight",
        "stale",
        "clock is",
        "Disk full",
        "upload was cut",
        "second answer",
        "written down as late",
        "joins in the next round",
        "under another address",
        "Out of memory",
        "half-written",
        "added up",
        "Backup and restore",
        "Upgrade",
    ],
)
def test_every_fault_of_the_suite_is_on_the_page(fault: str) -> None:
    assert re.search(fault, OPERATIONS)


def test_every_fate_of_a_site_is_explained() -> None:
    for fate in Fate.__args__:  # type: ignore[attr-defined]
        assert fate == "idle" or fate in OPERATIONS


def test_every_file_that_the_threat_model_names_is_there() -> None:
    files = re.findall(r"`((?:ceus_models|client|server|docker)/[^`]+)`", MODEL)
    assert len(set(files)) > 30
    assert [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.parametrize(
    "gap",
    [
        "secure aggregation",
        "Membership inference and model inversion",
        "Poisoning within the bounds",
        "own root",
        "Side channels",
        "SuperLink's database",
        "not signed for the worker",
    ],
)
def test_what_is_not_protected_is_said(gap: str) -> None:
    assert gap in MODEL.partition("## What is not protected")[2]


@pytest.mark.parametrize("page", ["docs/deployment.md", "docs/operations.md", "docs/threat-model.md", "SECURITY.md"])
def test_links_between_the_pages_lead_somewhere(page: str) -> None:
    path = ROOT / page
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []
