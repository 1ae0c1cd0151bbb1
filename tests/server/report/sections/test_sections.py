"""The sections on subgroups, readers, misdiagnoses, pairs, experiments and privacy, and the numbers as CSV."""

from __future__ import annotations

import base64
import csv
import io
import re
import shutil
import subprocess

import pytest
from made_readings import COHORT, cases, total_of

from ceus_models.study.subgroups import SUBGROUPS
from ceus_models.study.taxonomy import FUSION_NETS
from server.report import csv_tables
from server.report.page import SECTIONS, render_report, render_section
from server.report.sections.mcnemar_tables import p_cell
from server.report.sections.provenance import provenance
from server.report.sections.subgroups import SHOWN
from server.results.misdiagnoses import count_misdiagnoses
from server.results.pairs import compare_pairs
from server.results.reader_results import summarize_readers
from server.results.replicates import Resampling
from server.results.subgroup_results import build_table_one, summarize_subgroups
from tests.server.report.test_page import parsed, synthetic

EXPERIMENTS = {
    "mu": {
        "title": "FedProx over μ",
        "columns": ["arm", "accuracy"],
        "rows": [["0.01", 0.8123], ["0.1", None], ["=1+1", 3]],
        "figure": {
            "kind": "lines",
            "xlabel": "μ",
            "ylabel": "Accuracy",
            "series": [{"label": "a", "points": [{"x": 0.01, "value": 0.8, "low": 0.7, "high": 0.9}]}],
        },
        "finding": "A larger μ <does> nothing.",
    },
    "odd": {
        "title": "Of a later version",
        "columns": ["x"],
        "rows": [["y"]],
        "figure": {"kind": "hologram"},
        "finding": "",
    },
}


def drawn(anchor: str, results: dict) -> str:
    """One section of the report."""
    return render_section(next(section for section in SECTIONS if section.anchor == anchor), results)


@pytest.fixture(scope="module")
def found() -> dict:
    """What `server.results.detailed_results` gives, of made-up lesions, with experiments."""
    total, draws = total_of(cases(150)), Resampling(3, 200)
    nets = {key: {COHORT: {}} for key in ("subgroups", "misdiagnoses")}
    for net in FUSION_NETS:
        nets["subgroups"][COHORT][net] = summarize_subgroups(total, COHORT, net, draws)
        nets["misdiagnoses"][COHORT][net] = count_misdiagnoses(total, COHORT, net, draws)
    return {
        **nets,
        "simulated": True,
        "cohorts": {COHORT: {"models": {"DCB": {"accuracy": nets["subgroups"][COHORT]["fusion/DCB"]["all"]}}}},
        "table1": {COHORT: build_table_one(total, COHORT)},
        "pairs": {COHORT: compare_pairs(total, COHORT, FUSION_NETS, draws)},
        "readers": {COHORT: summarize_readers(total, COHORT, FUSION_NETS, draws)},
        "sites": {COHORT: {"fusion/DCB": {"=cmd": {"n": 12, "right": 9, "value": 0.75}}}},
        "experiments": EXPERIMENTS,
        "participation": [{"stage": "hello"}],
    }


def test_the_forest_shows_every_subgroup_or_says_suppressed(found):
    page = parsed(drawn("subgroups", found))
    assert page.faults == []
    assert [name for name in page.figures if name.startswith("Accuracy by subgroup: External test C")] == page.figures
    for variable in SHOWN:
        for value, one in found["subgroups"][COHORT]["fusion/DCB"]["variables"][variable].items():
            shown = "suppressed" if one.get("suppressed") else f"(n = {one['n']})"
            assert f"{value} {shown}" in " ".join(page.text.split()) or shown == "suppressed"
    assert page.text.count("suppressed") >= found["subgroups"][COHORT]["fusion/DCB"]["suppressed"]
    assert set(SHOWN) == set(SUBGROUPS) - {"malignancy_history"}


def test_readers_stand_as_in_the_studys_table(found):
    page = parsed(drawn("readers", found))
    assert page.faults == []
    text = " ".join(page.text.split())
    for code, one in found["readers"][COHORT]["readers"].items():
        assert f"{code} {one['alone']['accuracy']['n']} {one['alone']['accuracy']['value']:.3f}" in text
        if "assisted" in one:
            assert f"{one['assisted']['accuracy']['value']:.3f}" in text
    tests = found["readers"][COHORT]["readers"]["junior1"]["assistance"]
    assert f"one of {tests['tests']} tests of these readers" in text
    assert f"Holm {tests['p_holm']:.3f}" in text or "Holm <0.001" in text
    assert "Phantom readers" in text
    assert "Phantom readers" not in parsed(drawn("readers", {**found, "simulated": False})).text
    assert page.figures == ["Accuracy of readers: External test C"]


def test_readers_are_samples_of_more_and_the_model_is_held_against_the_margin(found):
    text = " ".join(parsed(drawn("readers", found)).text.split())
    readers = found["readers"][COHORT]
    one = readers["multi_reader"]["junior"]["against"]["fusion/DCB"]["alone"]
    shown = f"{one['value']:+.3f} {one['low']:+.3f} to {one['high']:+.3f}"
    fixed = f"{one['value']:+.3f} {one['fixed']['low']:+.3f} to {one['fixed']['high']:+.3f}"
    verdict = "yes" if one["non_inferior"] else "not shown"
    who = "Junior radiologists model minus readers alone"
    assert f"{who} 3 {one['n']} {shown} {fixed} {verdict}" in text
    assert "above -0.05" in text
    mri = readers["readers"]["mri1"]["against"]["fusion/DCB"]["alone"]
    gap = mri["difference"]
    assert f"mri1 {mri['n']} {gap['value']:+.3f} {gap['low']:+.3f} to {gap['high']:+.3f}" in text
    without = {**found, "readers": {COHORT: {**readers, "multi_reader": {}}}}
    assert "No multi-reader analysis" in parsed(drawn("readers", without)).text


def test_time_and_confidence_of_readers_are_shown(found):
    text = " ".join(parsed(drawn("readers", found)).text.split())
    one = found["readers"][COHORT]["readers"]["senior2"]
    seconds, sure = one["alone"]["seconds"], one["alone"]["confidence"]
    assert f"senior2 {seconds['value']:.0f} {seconds['low']:.0f}–{seconds['high']:.0f}" in text
    assert f"{sure['mean']:.2f} {sure['mean_wrong']:.2f} / {sure['mean_right']:.2f}" in text
    ratio = one["seconds_ratio"]
    assert f"{ratio['value']:.2f} {ratio['low']:.2f}" in text


def test_every_model_stands_on_lesions_confirmed_by_pathology(found):
    text = " ".join(parsed(drawn("subgroups", found)).text.split())
    confirmed = [found["subgroups"][COHORT][net]["variables"]["pathology_confirmed"]["yes"] for net in FUSION_NETS]
    values = " ".join(f"{one['value']:.3f} {one['low']:.3f}–{one['high']:.3f}" for one in confirmed)
    assert f"External test C, by pathology {confirmed[0]['n']} {values}" in text


def test_pairs_and_misdiagnoses_are_in_the_text(found):
    text = " ".join(parsed(drawn("models", found)).text.split())
    assert text.count("Model DCB") == 3
    one = found["misdiagnoses"][COHORT]["fusion/DCB"]["malignant_as_benign"]
    wrong = " ".join(parsed(drawn("misdiagnoses", found)).text.split())
    assert f"{one['count']}/{one['of']}" in wrong
    assert "21/522" in wrong, "the study's own"
    assert p_cell({"p": 1e-9, "test": "chi-square"}).text == "<0.001 χ²"


def test_table_one_adds_up_to_the_lesions(found):
    assert "Table 1 as found" in drawn("cohorts", {**found, "statistics": {"types": {COHORT: {"HCC": 150}}}})
    assert sum(found["table1"][COHORT]["sex"].values()) == 150


def test_experiments_are_drawn_as_they_were_left(found):
    page = parsed(drawn("experiments", found))
    assert page.faults == []
    assert page.figures == ["FedProx over μ"]
    for text in ("A larger μ <does> nothing.", "0.812", "Of a later version", "–"):
        assert text in page.text
    assert drawn("experiments", {}) == ""


PRIVATE = {
    "delta": 1e-5,
    "levels": {"submodels": "distributed", "test": "sums"},
    "cohorts": {"training_a": {"epsilon": 2.5, "own_epsilon": 23.0}},
}


def test_privacy_says_what_was_spent_or_that_nothing_was(found):
    assert "No noise was added" in drawn("privacy", found)
    spent = drawn("privacy", {**found, "privacy": PRIVATE})
    for text in ("2.5", "23", "δ = 1e-05", "noise that hides each patient", "totals over sites only"):
        assert text in spent
    assert "No noise" not in spent


def test_numbers_are_csv_in_the_page_and_no_formula_starts_a_cell(found):
    made = csv_tables.format_tables(found)
    assert {"subgroups", "readers", "pairs", "misdiagnoses", "sites", "experiment-mu"} <= set(made)
    rows = {row["of"]: row for row in csv.DictReader(io.StringIO(made["subgroups"]))}
    one = found["subgroups"][COHORT]["fusion/DCB"]["variables"]["sex"]["male"]
    row = rows[f"{COHORT} / fusion/DCB / variables / sex / male"]
    assert float(row["value"]) == one["value"]
    assert (float(row["low"]), float(row["high"]), float(row["n"])) == (one["low"], one["high"], one["n"])
    assert "'=1+1" in made["experiment-mu"]
    assert any("fusion/DB against fusion/DCB / p" in line for line in made["pairs"].splitlines())
    ((name, uri),) = csv_tables.build_links(made, ("readers",))
    assert name == "readers.csv"
    assert base64.b64decode(uri.removeprefix("data:text/csv;base64,")).decode() == made["readers"]
    assert csv_tables.build_links({}, ("readers",)) == csv_tables.build_links(made, ()) == []


def test_the_sections_stand_in_the_studys_order(found):
    assert [section.anchor for section in SECTIONS if section.anchor in ORDER] == ORDER
    some = {key: found[key] for key in ("experiments", "misdiagnoses", "table1", "participation")}
    page = parsed(render_report({"cohorts": {}, "plan": "x", "statistics": {"types": {COHORT: {"HCC": 150}}}, **some}))
    shown = [name for name in page.ids if name in ORDER]
    assert shown == ["cohorts", "experiments", "misdiagnoses", "participation", "privacy", "provenance"]


def test_what_the_sites_ran_is_said_with_what_made_the_numbers():
    records = [
        {"stage": "hello", "software": {"site-02": "fedceus 0.2.0 (ab)", "site-01": "fedceus 0.2.0 (ab)"}},
        {"stage": "hello", "software": {"site-03": "fedceus 0.1.9 (cd)"}},
        {"stage": "statistics"},
    ]
    facts = provenance({"participation": records})["facts"]
    assert facts == [
        ["Software of a site", "fedceus 0.2.0 (ab): site-01, site-02"],
        ["Software of a site", "fedceus 0.1.9 (cd): site-03"],
    ]


ORDER = ["cohorts", "modules", "models", "test-sets", "subgroups", "readers", "experiments", "misdiagnoses"]
ORDER += ["participation", "privacy", "provenance"]


@pytest.mark.slow
def test_a_browser_asks_for_nothing_and_complains_about_nothing(found, tmp_path):
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("no chromium here")
    page = tmp_path / "report.html"
    whole = {**synthetic(), **{key: value for key, value in found.items() if key != "cohorts"}}
    page.write_text(render_report(whole), encoding="utf-8")
    log = tmp_path / "net.json"
    for width in (1280, 420):
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--v=0"]
        options += [f"--user-data-dir={tmp_path / str(width)}", f"--log-net-log={log}", "--enable-logging=stderr"]
        options += [f"--window-size={width},4000", f"--screenshot={tmp_path / f'{width}.png'}"]
        done = subprocess.run(
            [browser, *options, page.as_uri()], capture_output=True, text=True, timeout=240, check=True
        )
        assert "CONSOLE" not in done.stderr
        assert asked_by_pages(log.read_text(encoding="utf-8")) == set()
        assert (tmp_path / f"{width}.png").stat().st_size > 50_000


def asked_by_pages(log: str) -> set[str]:
    """What pages asked the network for; what the browser asks by itself has no origin."""
    starts = re.findall(r'\{"initiator":"([^"]*)"[^\n]*?"url":"(https?://[^"]*)"', log)
    return {url for initiator, url in starts if initiator != "not an origin"}
