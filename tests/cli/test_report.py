"""`bench report` and `bench plot`: files of runs, and one line for what cannot be drawn."""

from __future__ import annotations

import json
import re
import sys
import xml.dom.minidom
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cli import main
from bench.render.pictures import KINDS, convert
from bench.store import kept
from tests.builders import a_header
from tests.drawn_runs import cells_of, run_of, usual_cells, write

ROOT = Path(__file__).parents[2]
STORED = next((ROOT / "results/vm/mmap_vs_sendto").glob("*.jsonl"))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write(tmp_path / "a.jsonl", run_of(usual_cells()))


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line on stderr of what is a usage error."""
    capsys.readouterr()
    assert main([*map(str, arguments)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    return line


# One file


def test_a_report_is_one_file_without_a_request(run: Path, tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    assert main(["report", str(run), "-o", str(page)]) == 0
    text = page.read_text()
    assert "default-src 'none'" in text
    assert "<link" not in text
    assert "src=" not in text.partition("<script")[0]
    for heading in ("Answer", "Ratio to the baseline", "Table", "Environment"):
        assert f">{heading}</h2>" in text


def test_two_runs_of_a_matrix_are_compared(run: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "b.jsonl", run_of(usual_cells(), seed=2))
    page = tmp_path / "r.html"
    assert main(["report", str(run), str(other), "-o", str(page)]) == 0
    assert ">What changed from A to B</h3>" in page.read_text()


def test_runs_of_different_matrices_are_shown_and_not_compared(run: Path, tmp_path: Path) -> None:
    matrix = {"name": "another"}
    other = write(tmp_path / "b.jsonl", run_of(cells_of()), matrix=matrix)
    page = tmp_path / "r.html"
    assert main(["report", str(run), str(other), "-o", str(page)]) == 0
    text = page.read_text()
    assert "Not compared: runs of different matrices: another, drawn" in text
    assert ">What changed from A to B</h3>" not in text


def test_a_run_without_figures_is_a_page_that_says_so(tmp_path: Path) -> None:
    failures = {cell.id: "no such device" for cell in usual_cells()}
    run = run_of(usual_cells(), rounds=0)
    path = write(tmp_path / "a.jsonl", type(run)(**{**vars(run), "failures": failures}))
    page = tmp_path / "r.html"
    assert main(["report", str(path), "-o", str(page)]) == 0
    text = page.read_text()
    assert "no such device" in text
    assert ">Not drawn</h2>" in text


def test_a_report_of_two_sides_begins_with_what_changed(tmp_path: Path) -> None:
    """The ratio of a cell of B is to the same cell of A."""
    of_a = cells_of(method=["sendto", "tx_ring"])
    of_b = [replace(cell, id=f"{cell.id}b") for cell in of_a]
    run = run_of([*of_a, *of_b], {}, rounds=80, openings=8)
    twins = {cell.id: cell.id.removesuffix("b") for cell in of_b}
    sides = [{"name": "A"}, {"name": "B"}]
    path = write(tmp_path / "ab.jsonl", replace(run, header=a_header(baselines=twins)), sides=sides)
    page = tmp_path / "r.html"
    assert main(["report", str(path), "-o", str(page)]) == 0
    first, *others = re.findall(r"<h2[^>]*>([^<]*)</h2>", page.read_text())
    assert first == "What changed"
    assert "Table" in others
    plain = write(tmp_path / "a.jsonl", run_of(of_a))
    assert main(["report", str(path), str(plain), "-o", str(page)]) == 0
    assert "is a run of two sides, compared in itself" in page.read_text()


def test_a_report_of_one_cell_says_that_it_has_no_rival(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", run_of(cells_of()))
    page = tmp_path / "r.html"
    assert main(["report", str(path), "-o", str(page)]) == 0
    text = page.read_text()
    assert "without a rival" in text
    for heading in ("Answer", "Table", "Not drawn"):
        assert f">{heading}</h2>" in text


def test_the_code_of_a_page_is_kept(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged or an older one is made again."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    code = convert.vega()
    (file,) = tmp_path.rglob("*.vega")
    assert convert.vega() == code
    file.write_bytes(file.read_bytes()[:-1])
    assert convert.vega() == code
    kept.write(file, ("0.1", "older"))
    assert convert.vega() == code


def test_a_report_takes_the_place_of_an_older_one_and_of_no_run(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "r.html"
    page.write_text("older")
    assert main(["report", str(run), "-o", str(page)]) == 0
    assert page.read_text().startswith("<!doctype html>")
    before = run.read_bytes()
    assert str(run) in refused(capsys, "report", run, "-o", run)
    assert run.read_bytes() == before


# One picture


@pytest.mark.parametrize("kind", ["effects", "ratio", "axis", "heat", "time"])
def test_a_picture_is_drawn_of_the_committed_run(kind: str, tmp_path: Path) -> None:
    picture = tmp_path / "p.svg"
    assert main(["plot", str(STORED), "--kind", kind, "-o", str(picture)]) == 0
    drawn = xml.dom.minidom.parseString(picture.read_text())
    assert drawn.documentElement.tagName == "svg"
    assert not drawn.getElementsByTagName("script")


def test_a_history_is_of_the_machine_as_the_user_calls_it(tmp_path: Path) -> None:
    """A container has a hostname of its own each night."""
    for night in range(4):
        run = write(
            tmp_path / f"{night}.jsonl",
            run_of(usual_cells(), seed=night),
            started=f"2026-01-0{night + 1}T00:00:00Z",
            host={"hostname": f"container{night}"},
            machine="ci",
        )
    assert main(["plot", str(run), "--kind", "history", "-o", str(tmp_path / "h.svg")]) == 0


def test_a_history_is_drawn_of_the_runs_beside(tmp_path: Path) -> None:
    for n in range(4):
        run = write(
            tmp_path / f"{n}.jsonl",
            run_of(usual_cells(), rounds=30, seed=n),
            started=f"2026-11-0{n + 1}T03:00:00+00:00",
        )
    picture = tmp_path / "p.json"
    assert main(["plot", str(run), "--kind", "history", "-o", str(picture)]) == 0
    rows = json.loads(picture.read_text())["datasets"]["panel0_0"]
    assert [row["night"][:10] for row in rows] == [f"2026-11-0{n + 1}" for n in range(4)]


def test_a_png_is_one(run: Path, tmp_path: Path) -> None:
    picture = tmp_path / "p.png"
    arguments = ["--kind", "ratio", "--dark", "--width", "400", "-o", str(picture)]
    assert main(["plot", str(run), *arguments]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--kind", "threads", "-o", "p.svg"), "all cells have the same number of threads"),
        (("--kind", "history", "-o", "p.svg"), "it takes 3 runs"),
        (("--kind", "comparison", "-o", "p.svg"), "it takes two runs"),
        (("--kind", "axis", "--x", "burst", "-o", "p.svg"), "burst has not several values"),
        (("--kind", "time", "--x", "burst", "-o", "p.svg"), "--x: --kind time does not read it"),
        (("--kind", "ratio", "-o", "p.gif"), ".svg, .png, .json"),
        (("--kind", "ratio", "-o", "nowhere/p.svg"), "name a file in a folder"),
        (("--kind", "ratio", "--filter", "method=x", "-o", "p.svg"), "no cell"),
        (("other.jsonl", "--kind", "ratio", "-o", "p.svg"), "one run; 2 were named"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(
    arguments: tuple[str, ...],
    said: str,
    run: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(run.parent)
    assert said in refused(capsys, "plot", run.name, *arguments)
    assert [path.name for path in run.parent.iterdir()] == [run.name]


@pytest.mark.parametrize("verb", [("report",), ("plot", "--kind", "ratio")])
def test_without_the_library_a_line_says_how_to_get_it(
    verb: tuple[str, ...],
    run: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    output = run.parent / "p.svg"
    assert main([*verb, str(run), "-o", str(output)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "bench[report]" in line
    assert not output.exists()


def test_help_lists_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["plot", "--help"])
    said = capsys.readouterr().out
    assert all(kind in said for kind in KINDS)
