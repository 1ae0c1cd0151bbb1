"""A reporting checklist with the run's answers, as rows and as Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ceus_models.runtime.yaml_lines import parse_yaml_with_lines
from server.report.checklists.answers import answer
from server.report.values import Results, is_simulated

NAMES = ("tripod-ai", "claim-2024", "stard-ai")
OPEN = "To be written"


@dataclass(frozen=True)
class Item:
    """An item: its number in the published list, its topic, the name of its answer, what a person writes; or ""."""

    number: str
    topic: str
    answer: str
    wanted: str


@dataclass(frozen=True)
class Checklist:
    """A published list."""

    title: str
    source: str
    items: tuple[Item, ...]


@cache
def load_checklist(name: str) -> Checklist:
    """One of NAMES."""
    content = files("server.report.checklists").joinpath(f"{name}.yaml").read_bytes()
    read = parse_yaml_with_lines(content, f"{name}.yaml", "bad-checklist").values
    return Checklist(read["title"], read["source"], tuple(Item(*map(str, row)) for row in read["items"]))


def fill_item(item: Item, results: Results) -> tuple[str, str]:
    """What the run answers, and what is left for a person, either may be ""; one of both is not."""
    found = answer(item.answer, results) if item.answer else ""
    return found, item.wanted or ("" if found else f"The run does not know this yet: {item.topic}.")


def format_checklist(name: str, results: Results) -> str:
    """The checklist as Markdown, to be completed by a person."""
    checklist = load_checklist(name)
    rows = [(item, *fill_item(item, results)) for item in checklist.items]
    answered = sum(bool(found) for _, found, _ in rows)
    lines = [f"# {checklist.title}", "", checklist.source.strip(), ""]
    if is_simulated(results):
        lines += ["**Phantom data: no patient is behind any number.**", ""]
    lines += [
        f"The run answers {answered} of {len(rows)} items; check each answer. A person writes where it says so.",
        "",
        "| Item | Topic | The run's answer | For a person |",
        "|---|---|---|---|",
    ]
    for item, found, wanted in rows:
        left = f"{OPEN}: {wanted}" if wanted and not found else wanted
        lines.append(f"| {' | '.join(map(_escape, (item.number, item.topic, found, left)))} |")
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    """A cell of a table in Markdown: names in it come from elsewhere."""
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").split())
