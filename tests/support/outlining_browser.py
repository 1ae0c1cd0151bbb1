"""A site's console as a real process, and Chromium on it, for tests that draw with mouse and keys."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, Request, sync_playwright

from tests.support.real_federation import BIN, ENVIRONMENT, wait

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
GAP_PX = 4
"""Between the panes on the canvas of the page."""


@contextmanager
def serve_console(folder: Path) -> Iterator[str]:
    """Start `ceus-site console`; its URL, which signs in once. It ends with Ctrl-C."""
    with tempfile.TemporaryFile("w+") as log:
        words = [str(BIN / "ceus-site"), "console", str(folder), "--port", "0"]
        process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT, env=ENVIRONMENT)

        def find_url() -> re.Match[str] | None:
            assert process.poll() is None, "the console ended"
            log.seek(0)
            return re.search(r"open (\S+)", log.read())

        try:
            wait(find_url, 120, "the console's URL")
            found = find_url()
            assert found is not None
            yield found[1]
        finally:
            process.send_signal(2)
            process.wait(60)


@dataclass
class Radiologist:
    """One person at the pages of outlining. asked: hosts of all requests · faults: what the browser complained of."""

    page: Page
    base: str
    asked: set[str | None] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", self._note)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda said: self.faults.append(said.text) if said.type == "error" else None)

    def _note(self, request: Request) -> None:
        self.asked.add(urlsplit(request.url).hostname)

    def sign(self, name: str) -> None:
        self.page.goto(f"{self.base}/outlining")
        self.page.fill("#reader", name)
        self.page.click("form.reader button")

    def open(self, line: int) -> None:
        self.page.goto(f"{self.base}/outlining/{line}")
        self.page.wait_for_selector("#outline[data-state=ready]", timeout=120_000)

    def place(self, point: Sequence[float], rows: int, columns: int, pane: int = 0) -> tuple[float, float]:
        """Where a pixel's center of a pane lies in the window, at the zoom that a page begins with."""
        box = self.page.locator("#panes").bounding_box()
        assert box is not None
        width = (box["width"] - GAP_PX) // 2
        scale = min((box["width"] - GAP_PX) / (2 * columns), box["height"] / rows)
        left = box["x"] + pane * (width + GAP_PX) + width / 2
        x, y = point[0] - (columns - 1) / 2, point[1] - (rows - 1) / 2
        return left + x * scale, box["y"] + box["height"] / 2 + y * scale

    def click(self, points: Sequence[Sequence[float]], size: tuple[int, int], pane: int = 0) -> None:
        """Click at pixels of a pane of this size, one after the other."""
        for point in points:
            self.page.mouse.click(*self.place(point, *size, pane))

    def step_to(self, frame: int) -> None:
        """Step from the first frame by keys."""
        self.page.keyboard.press("Home")
        for _ in range(frame // 10):
            self.page.keyboard.press("Shift+ArrowRight")
        for _ in range(frame % 10):
            self.page.keyboard.press("ArrowRight")
        self.page.wait_for_selector(f"#where:has-text('frame {frame + 1} of')")

    def accept(self) -> None:
        """Close the outline, wait for what it finds, accept it."""
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector("#accept:not([disabled])", timeout=120_000)
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector("#status:has-text('Saved')", timeout=60_000)


@contextmanager
def open_browser(url: str) -> Iterator[Radiologist]:
    """Chromium without a window, signed in to a console."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            parts = urlsplit(url)
            made = Radiologist(page, f"{parts.scheme}://{parts.netloc}")
            page.goto(url)
            yield made
        finally:
            browser.close()
