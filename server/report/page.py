"""The report: one HTML file, made from results.json alone, that needs neither network nor script."""

from __future__ import annotations

from server.report.html import Html, escaped, joined, paragraph
from server.report.sections import headline as sections
from server.report.sections import provenance
from server.report.sections.cohorts import cohorts
from server.report.sections.comparison import comparison
from server.report.sections.experiments import experiments
from server.report.sections.misdiagnoses import misdiagnoses
from server.report.sections.modules import modules
from server.report.sections.privacy import privacy
from server.report.sections.readers import readers
from server.report.sections.subgroups import subgroups
from server.report.sections.test_sets import test_sets
from server.report.stylesheet import CSS
from server.report.values import Results, at, is_simulated

RESEARCH = "For research only. fedceus is not a medical device and must not guide the care of a patient."
INTRODUCTION = (
    "Six types of focal liver lesion, told apart in contrast-enhanced ultrasound without gathering the videos."
)
PHANTOM = (
    "Phantom data: every lesion in this run was simulated on a computer. No number here says how well the "
    "models would do on patients."
)

SECTIONS = (
    ("headline", "Result", sections.headline),
    ("cohorts", "Cohorts", cohorts),
    ("statistics", "Statistics", provenance.statistics),
    ("modules", "Modules", modules),
    ("models", "Four models", sections.models),
    ("test-sets", "Test sets", test_sets),
    ("subgroups", "Subgroups", subgroups),
    ("readers", "Readers", readers),
    ("comparison", "Comparison", comparison),
    ("experiments", "Experiments", experiments),
    ("misdiagnoses", "Misdiagnoses", misdiagnoses),
    ("participation", "Participation", provenance.participation),
    ("privacy", "Privacy", privacy),
    ("provenance", "Provenance", provenance.provenance),
)
"""Anchor, title and maker of each section, in the study's order."""


def report_html(results: Results) -> str:
    """The whole report of a run as HTML text; sections without data are left out.

    `results` is a parsed results.json. The same results give the same text.
    """
    drawn = [(anchor, title, make(results)) for anchor, title, make in SECTIONS]
    present = [(anchor, title, content) for anchor, title, content in drawn if content]
    links = joined(Html(f'<a href="#{anchor}">{escaped(title)}</a>') for anchor, title, _ in present)
    plan = at(results, "plan")
    title = "fedceus report" if plan is None else f"fedceus report: {plan}"
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<link rel="icon" href="data:,">',  # or the browser would ask a server for one
            f"<title>{escaped(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<header>",
            f"<h1>{escaped(title)}</h1>",
            paragraph(INTRODUCTION),
            paragraph(f"{PHANTOM} {RESEARCH}" if is_simulated(results) else RESEARCH, "warning"),
            f'<nav aria-label="Sections">{links}</nav>\n</header>\n<main>',
            joined(content for _, _, content in present),
            f"</main>\n<footer>{escaped(_origin(results))}</footer>\n</body>\n</html>\n",
        ]
    )


def _origin(results: Results) -> str:
    version = at(results, "fedceus")
    made = "Made by fedceus" if version is None else f"Made by fedceus {version}"
    return f"{made} from the run's results.json alone. {RESEARCH}"
