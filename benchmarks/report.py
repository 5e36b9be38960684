#!/usr/bin/env python3
"""Is `bench report` quick, small and soon of use with 500 cells?

A made-up run of 500 cells and 75 rounds is stored. Its page should be made in under 10 s, be under
5 MB, and be of use (table, filter, the first picture) in under 2 s in headless Chromium, where
there is one. Exit code 1 where a bound is not kept.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.browser import CHROMIUM
from tests.drawn_runs import INTERFACES, cells_of, run_of, write

MOST_S, MOST_BYTES, MOST_UNTIL_USE_S = 10.0, 5_000_000, 2.0
OF_USE = "() => document.documentElement.dataset.ready && document.querySelector('[data-drawn]')"


def stored(path: Path, cells: int, rounds: int) -> Path:
    """So many cells of three interfaces, three methods and both fills, in as many frame sizes as
    it takes."""
    sizes = [64 + 16 * n for n in range(-(-cells // 18))]
    made = cells_of(
        interface=[*INTERFACES.values()],
        method=["sendto", "sendmmsg", "tx_ring"],
        frame_size=sizes,
        fill=["copy", "prefilled"],
    )
    return write(path, run_of(made[:cells], rounds=rounds, openings=5))


def seconds_until_use(page: Path) -> float:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page()
        tab.goto("about:blank")
        began = time.monotonic()
        tab.goto(page.as_uri())
        tab.wait_for_function(OF_USE)
        took = time.monotonic() - began
        browser.close()
    return took


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=75)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        run = stored(Path(folder, "run.jsonl"), args.cells, args.rounds)
        page = Path(folder, "report.html")
        began = time.monotonic()
        subprocess.run([sys.executable, "-m", "bench", "report", run, "-o", page], check=True)
        found = [
            ("made in", time.monotonic() - began, MOST_S, "s"),
            ("size", page.stat().st_size / 1e6, MOST_BYTES / 1e6, "MB"),
        ]
        if CHROMIUM:
            found.append(("of use after", seconds_until_use(page), MOST_UNTIL_USE_S, "s"))
    for name, value, most, unit in found:
        print(f"{name:14}{value:6.2f} {unit}, at most {most:g}")
    return int(any(value > most for _, value, most, _ in found))


if __name__ == "__main__":
    sys.exit(main())
