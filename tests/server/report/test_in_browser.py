"""The report in Chromium, wide and narrow: no network, and no text over an edge or on another text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser, Page, sync_playwright

from server.report.page import render_report
from tests.server.report.sections.test_use_and_flow import COHORT, FLOW
from tests.server.report.test_page import synthetic
from tests.support.outlining_browser import CHROMIUM

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: chromium)")
WIDE, NARROW = 1280, 420
OVER_THE_EDGE = """() => [...document.querySelectorAll("figure svg")].flatMap(drawing => {
  const edge = drawing.getBoundingClientRect();
  return [...drawing.querySelectorAll("text")].map(text => [text, text.getBoundingClientRect()])
    .filter(([, box]) => box.width && (box.left < edge.left - 2 || box.right > edge.right + 2
      || box.top < edge.top - 2 || box.bottom > edge.bottom + 2))
    .map(([text]) => `${drawing.getAttribute("aria-label")}: ${text.textContent}`);
})"""
ON_EACH_OTHER = """() => [...document.querySelectorAll("figure svg")].flatMap(drawing => {
  const level = [...drawing.querySelectorAll("text")].filter(text => {
    const turned = /rotate\\(-?([\\d.]+)/.exec(text.getAttribute("transform") || "");
    return !turned || Number(turned[1]) === 0;
  }).map(text => [text.textContent, text.getBoundingClientRect()]);
  const met = [];
  level.forEach(([one, a], place) => level.slice(place + 1).forEach(([other, b]) => {
    const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (across > 1.5 && down > 0.4 * Math.min(a.height, b.height)) {
      met.push(`${drawing.getAttribute("aria-label")}: ${one} on ${other}`);
    }
  }));
  return met;
})"""
WIDER_THAN_THE_PAGE = """() => [...document.querySelectorAll(".table")].filter(one => one.scrollWidth > one.clientWidth)
  .map(one => `${one.closest("section").id}: ${(one.querySelector("caption") || one).innerText.slice(0, 60)}`)"""


def full_results() -> dict[str, Any]:
    """Every drawing, with losses that differ in the last digits, and many reasons in the flow."""
    results = synthetic()
    curves = results["curves"]
    group = next(iter(curves))
    net = next(iter(curves[group]))
    curves[group][net]["training_loss"] = [1.80385 + 0.00001 * place for place in curves[group][net]["rounds"]]
    pairs = [
        {
            "first": "disease/all",
            "second": "disease/five",
            "n": 592,
            "difference": {"value": -0.0622, "low": -0.105, "high": -0.021, "n": 592},
            "equivalence": {"margin": 0.05, "low": -0.097, "high": -0.03, "equivalent": False, "different": True},
            "first_only": 41,
            "second_only": 77,
            "p": 0.0012,
            "p_holm": 0.0365,
            "test": "chi-square",
            "tests": 36,
        }
    ]
    reasons = {"too-small": 13, "no-pathology": 40, "no-follow-up": 7, "too-young": 1, "no-clinical-data": 2}
    intake = {"listed": 1400, "look": 3, "excluded": reasons, "skipped": {"A clip is damaged " * 4: 5}}
    results["pairs"] = {**results.get("pairs", {}), "validation": pairs}
    return {**results, "flow": {COHORT: FLOW, "validation": FLOW}, "intake": {COHORT: intake}}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_nothing_is_asked_complained_of_or_cut_off(browser: Browser, tmp_path: Path, width: int) -> None:
    (tmp_path / "report.html").write_text(render_report(full_results()), encoding="utf-8")
    page: Page = browser.new_page(viewport={"width": width, "height": 900})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda one: None if one.url.startswith(("file:", "data:")) else said.append(one.url))
    page.goto((tmp_path / "report.html").as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.querySelectorAll('figure svg').length") > 20
    assert page.evaluate(OVER_THE_EDGE) == []
    assert page.evaluate(ON_EACH_OTHER) == []
    if width == WIDE:
        assert page.evaluate(WIDER_THAN_THE_PAGE) == []
    page.close()
