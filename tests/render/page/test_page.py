"""The page of a run in a browser: what is seen, what works, and what never happens."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from bench.render import report, table
from bench.render.page import contents
from bench.render.page.page import page
from bench.render.pictures import convert
from tests.browser import Opened, Scheme, browser, needs_chromium, opened
from tests.builders import a_cell
from tests.drawn_runs import run_of, subject_of, usual_cells

SCRIPT = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
HOSTILE = f"</script>{SCRIPT}\u2028\x1b[31m'\"&"

__all__ = ["browser"]  # the fixture

pytestmark = needs_chromium


def write(path: Path, *cells_named: str, description: str = "") -> Path:
    """The page of a run; its last cells have these methods."""
    cells = [*usual_cells(), *(a_cell(f"n{n}", method=m) for n, m in enumerate(cells_named))]
    header = {
        "matrix": {"name": "drawn", "description": description, "baseline": {"method": "sendto"}}
    }
    run = run_of(cells, header=header | {"doctor": {"verdict": description, "findings": []}})
    document = table.document_of(report.make_report(run))
    part = contents.part_of_run("", subject_of(run), document)
    path.write_text(page(contents.title_of(run.header), [part], convert.vega()))
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("page") / "page.html", description="Which is fastest?")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_drawn_without_complaint_or_request(
    browser: Browser, path: Path, width: int, scheme: Scheme
) -> None:
    with opened(browser, path, width, scheme) as seen:
        seen.draw_all()
        drawn = seen.page.locator("figure.picture .plot svg").count()
        scroll = seen.page.evaluate("document.documentElement.scrollWidth")
    assert (seen.complaints, seen.requests) == ([], [])
    assert drawn == 5
    assert scroll <= width


@pytest.mark.parametrize("width", [1280, 390])
def test_labels_do_not_overlap(browser: Browser, path: Path, width: int) -> None:
    """Of the axes and titles of a picture no two texts lie upon each other."""
    with opened(browser, path, width) as seen:
        seen.draw_all()
        assert seen.page.evaluate(OVERLAPPING) == []


OVERLAPPING = """() => {
  const found = [];
  for (const svg of document.querySelectorAll('.plot svg')) {
    const texts = [...svg.querySelectorAll('text')].filter(t => t.textContent.trim()
      && getComputedStyle(t).opacity !== '0' && t.getAttribute('opacity') !== '0');
    const boxes = texts.map(t => [t.textContent, t.getBoundingClientRect()]);
    boxes.forEach(([a, p], n) => boxes.slice(n + 1).forEach(([b, q]) => {
      const across = Math.min(p.right, q.right) - Math.max(p.left, q.left);
      const down = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
      if (across > 1 && down > 3) found.push([a, b]);
    }));
  }
  return found;
}"""


def test_nothing_serious_keeps_people_out(browser: Browser, path: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe

    for scheme in ("light", "dark"):
        with opened(browser, path, scheme=scheme) as seen:  # type: ignore[arg-type]
            seen.draw_all()
            found = Axe().run(seen.page).response["violations"]
        told = [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]
        assert told == []


# The table


def column(seen: Opened, name: str) -> list[str]:
    """The cells of a column that are seen, from the top."""
    headings = [each.split()[0] for each in seen.page.locator("th").all_inner_texts()]
    rows = seen.page.locator("tbody tr:not([hidden])")
    return [cells[headings.index(name)] for cells in rows.evaluate_all(CELLS)]


CELLS = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"


def test_the_keyboard_sorts(browser: Browser, path: Path) -> None:
    with opened(browser, path) as seen:
        heading = seen.page.get_by_role("columnheader", name="ns/frame")
        heading.get_by_role("button").focus()
        seen.page.keyboard.press("Enter")
        assert heading.get_attribute("aria-sort") == "ascending"
        ascending = [float(text) for text in column(seen, "ns/frame")]
        seen.page.keyboard.press("Space")
        assert heading.get_attribute("aria-sort") == "descending"
        descending = [float(text) for text in column(seen, "ns/frame")]
        others = seen.page.locator("th[aria-sort=none]").count()
    assert ascending == sorted(descending)
    assert descending == ascending[::-1]
    assert others == seen_columns(path) - 1


def seen_columns(path: Path) -> int:
    return path.read_text().count("<th ")


def test_the_filter_finds_rows_with_all_words(browser: Browser, path: Path) -> None:
    with opened(browser, path) as seen:
        seen.page.get_by_label("Rows with").fill("TX_RING veth")
        assert {*column(seen, "method")} == {"tx_ring"}
        assert {*column(seen, "interface")} == {"veth"}
        assert seen.page.locator(".count").inner_text() == "3 of 18 rows"
        seen.page.get_by_label("Rows with").fill("")
        assert len(column(seen, "method")) == 18


# Pictures

RATIOS = "#part0-ratio-to-the-baseline"


def test_another_picture_is_chosen(browser: Browser, path: Path) -> None:
    with opened(browser, path) as seen:
        seen.draw_all()
        figure = seen.page.locator(f"{RATIOS} figure")
        before = figure.locator(".plot").inner_html()
        figure.get_by_label("Show").select_option("ns/frame")
        seen.page.wait_for_function(
            f"before => document.querySelector('{RATIOS} .plot').innerHTML !== before",
            arg=before,
        )
        assert figure.locator("figcaption").inner_text().startswith("ns/frame")
        name = figure.locator(".plot").get_attribute("aria-label") or ""
        assert "ns/frame" in name


def test_a_picture_is_saved(browser: Browser, path: Path) -> None:
    with opened(browser, path) as seen:
        seen.draw_all()
        with seen.page.expect_download() as saved:
            seen.page.locator(RATIOS).get_by_role("button", name="Save as SVG").click()
        assert saved.value.suggested_filename == "ratio-to-the-baseline.svg"
        assert "<svg" in Path(saved.value.path()).read_text()


def test_marks_have_tooltips(browser: Browser, path: Path) -> None:
    with opened(browser, path) as seen:
        seen.draw_all()
        marks = seen.page.locator(f"{RATIOS} .plot .mark-symbol path")
        marks.nth(1).hover(force=True)
        seen.page.wait_for_function("!document.querySelector('.tip').hidden")
        assert "pps" in seen.page.locator(".tip").inner_text()


def test_the_theme_changes_with_the_screen(browser: Browser, path: Path) -> None:
    with opened(browser, path) as seen:
        seen.draw_all()
        colours = (
            "[...document.querySelectorAll('.plot svg [fill]')].map(e => e.getAttribute('fill'))"
        )
        before = seen.page.evaluate(colours)
        seen.page.emulate_media(color_scheme="dark")
        seen.page.wait_for_function(
            f"before => JSON.stringify({colours}) !== before",
            arg=json.dumps(before, separators=(",", ":")),
        )


# What others wrote


def test_texts_of_a_run_are_never_run(browser: Browser, tmp_path: Path) -> None:
    long = "m" * 500
    path = write(tmp_path / "hostile.html", HOSTILE, long, description=HOSTILE)
    with opened(browser, path, 390) as seen:
        seen.draw_all()
        assert seen.page.evaluate("window.hacked") is None
        assert seen.page.locator("img").count() == 0
        assert SCRIPT in seen.page.locator("body").inner_text()
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert (seen.complaints, seen.requests) == ([], [])


def test_a_script_that_got_in_all_the_same_would_not_run(
    browser: Browser, path: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.html"
    broken.write_text(path.read_text().replace("</main>", f"</main>{SCRIPT}"))
    with opened(browser, broken) as seen:
        assert seen.page.evaluate("window.hacked") is None


def test_a_run_without_rounds_is_a_page_too(browser: Browser, tmp_path: Path) -> None:
    run = run_of(usual_cells(), rounds=0)
    made = report.make_report(replace(run, failures={"c0": HOSTILE}))
    part = contents.part_of_run("", subject_of(run), table.document_of(made))
    path = tmp_path / "empty.html"
    path.write_text(page("empty", [part], ""))
    with opened(browser, path) as seen:
        assert seen.page.get_by_role("heading", name="Not drawn").count() == 1
        assert len(column(seen, "notes")) == 18
    assert seen.complaints == []
