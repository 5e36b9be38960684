"""Pages in headless Chromium, as people see them; skipped where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium (apt-get install chromium-headless-shell)"
)

PATIENCE_MS = 150_000
"""For what comes in a moment, on a machine that does much else."""

Scheme = Literal["light", "dark"]


@dataclass
class Opened:
    """A page, and what must not happen in it: ``complaints`` and ``requests`` stay empty."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def draw_all(self) -> None:
        """What is far down is drawn when it comes near, or before printing."""
        self.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        self.page.wait_for_function(
            "[...document.querySelectorAll('figure.picture')].every(f => f.dataset.drawn)"
        )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all tests of a file: to start it takes longer than to use it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # The tests may be root in a container, where Chromium's own sandbox cannot be had.
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@contextmanager
def opened(
    browser: Browser, path: Path, width: int = 1280, scheme: Scheme = "light"
) -> Iterator[Opened]:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.set_default_timeout(PATIENCE_MS)
    found = Opened(page)
    page.on("console", lambda message: found.complaints.append(message.text))
    page.on("pageerror", lambda error: found.complaints.append(str(error)))
    page.on("request", lambda request: found.requests.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_function("document.documentElement.dataset.ready")
    found.requests.remove(path.as_uri())
    yield found
    page.close()
