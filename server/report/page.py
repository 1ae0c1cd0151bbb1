"""The report: one HTML file, made from results.json alone, that needs neither network nor script."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ceus_models.web.templates import render, trust
from server.report import csv_tables
from server.report.sections import headline, provenance
from server.report.sections.checklists import checklists
from server.report.sections.clinical_use import clinical_use
from server.report.sections.cohorts import cohorts
from server.report.sections.comparison import comparison
from server.report.sections.experiments import experiments
from server.report.sections.flow import flow
from server.report.sections.misdiagnoses import misdiagnoses
from server.report.sections.modules import modules
from server.report.sections.privacy import privacy
from server.report.sections.readers import readers
from server.report.sections.subgroups import subgroups
from server.report.sections.test_sets import test_sets
from server.report.values import Results, is_simulated, lookup


@dataclass(frozen=True)
class Section:
    """A part of the report.

    anchor: its id; its template is `pages/ANCHOR.html` · values: what the template lays out, {} to leave it out ·
    tables: its numbers as CSV, by how their names begin.
    """

    anchor: str
    title: str
    values: Callable[[Results], Mapping[str, Any]]
    tables: tuple[str, ...] = ()


SECTIONS = (
    Section("headline", "Result", headline.headline),
    Section("cohorts", "Cohorts", cohorts, ("cohorts",)),
    Section("flow", "Flow and missing data", flow, ("flow", "missing")),
    Section("statistics", "Statistics", provenance.statistics),
    Section("modules", "Modules", modules, ("modules",)),
    Section("models", "Four models", headline.models, ("models", "pairs")),
    Section("test-sets", "Test sets", test_sets, ("models", "sites", "heterogeneity")),
    Section("clinical-use", "In use", clinical_use, ("use",)),
    Section("subgroups", "Subgroups", subgroups, ("subgroups", "gaps")),
    Section("readers", "Readers", readers, ("readers",)),
    Section("comparison", "Federated, pooled, alone", comparison, ("comparison",)),
    Section("experiments", "Experiments", experiments, (csv_tables.EXPERIMENT,)),
    Section("misdiagnoses", "Misdiagnoses", misdiagnoses, ("misdiagnoses",)),
    Section("participation", "Participation", provenance.participation),
    Section("privacy", "Privacy", privacy),
    Section("checklists", "Reporting checklists", checklists),
    Section("provenance", "Provenance", provenance.provenance),
)
"""In the study's order."""


def render_report(results: Results) -> str:
    """The whole report of a run as HTML text; sections without data are left out.

    `results` is a parsed results.json. The same results give the same text.
    """
    tables = csv_tables.format_tables(results)
    drawn = [
        (section, render_section(section, results), csv_tables.build_links(tables, section.tables))
        for section in SECTIONS
    ]
    plan = lookup(results, "plan")
    return render(
        "server.report",
        "report.html",
        title="fedceus report" if plan is None else f"fedceus report: {plan}",
        simulated=is_simulated(results),
        version=lookup(results, "fedceus"),
        sections=[(section, trust(content), links) for section, content, links in drawn if content],
    )


def render_section(section: Section, results: Results) -> str:
    """What stands below a section's heading; "" where there is nothing to show."""
    values = section.values(results)
    return render("server.report", f"{section.anchor}.html", **values).strip() if values else ""
