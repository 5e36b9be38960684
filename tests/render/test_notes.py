"""Every note of a row reaches every verb that draws a conclusion from the row."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from bench.analysis import notes as made_notes
from bench.analysis.answer import answer_of
from bench.analysis.evidence import NO_EVIDENCE
from bench.campaign import sides, timeline
from bench.campaign.nightly import Outcome
from bench.campaign.nights import nights as nights_in
from bench.campaign.sides import Policy
from bench.cli import main
from bench.measure.opening import Facts
from bench.model.cells import Cell
from bench.model.problems import Code, Problem
from bench.model.samples import Sample
from bench.pytest_plugin.gate import gate
from bench.pytest_plugin.measured import MeasuredMatrix
from bench.render import FORMATS, comparison, comparisons, history, nightly
from bench.render.answer import answered
from bench.render.document import Document
from bench.render.export import EXPORTS, junit
from bench.render.export.measured import measured
from bench.render.report import make_report
from bench.render.screen import PAPER
from bench.store import reader
from tests.campaign.nights_of import Nights
from tests.measure.fake_opening import WINDOW_NS, FakeOpening, at_rate

TICK_NS = 10_000_000
ASKED = 8192


def of_thread(**counts: int) -> Callable[[Sample], Sample]:
    return lambda sample: replace(sample, threads=(replace(sample.threads[0], **counts),))


def of_sample(**fields: Any) -> Callable[[Sample], Sample]:
    return lambda sample: replace(sample, **fields)


def in_rounds(rounds: int, change: Callable[[Sample], Sample]) -> Callable[[Sample], Sample]:
    """Of the first ones only."""
    return lambda sample: change(sample) if sample.round < rounds else sample


def as_it_is(sample: Sample) -> Sample:
    return sample


def straying(sample: Sample) -> Sample:
    """From opening to opening."""
    return of_thread(completed=1000 + 300 * (sample.round // 7))(sample)


SAMPLES: dict[str, Callable[[Sample], Sample]] = {
    "imprecise": straying,
    "starved": of_thread(cpu_ns=WINDOW_NS // 2),
    "stolen": of_sample(steal_ns=TICK_NS, cpus_ns=2 * TICK_NS),
    "disturbed": in_rounds(2, of_thread(cpu_ns=WINDOW_NS // 2)),
    "failover": of_sample(carrier_lost="bench0", lost=1),
    "moved": of_thread(moved=1),
    "lossy": of_sample(lost=1),
    "shared": of_sample(foreign=1),
    "unlocked": as_it_is,
    "clamped": as_it_is,
    "receives": as_it_is,
    "zero-copy": as_it_is,
    "invalid": in_rounds(5, of_sample(problems=(Problem(Code.NOT_DRAINED),))),
}
"""What gives a cell each note."""

FRAME_SIZES = {64 + number: code for number, code in enumerate(SAMPLES)}
CODE_OF = {str(size): code for size, code in FRAME_SIZES.items()}
MATRIX = {
    "name": "m",
    "axes": {
        "interface": "lo",
        "method": "sendto",
        "frame_size": [size for size, code in FRAME_SIZES.items() if code != "receives"],
        "sndbuf": {"bytes": ASKED},
    },
    "include": [
        {"frame_size": size, "protocol": "all"}
        for size, code in FRAME_SIZES.items()
        if code == "receives"
    ],
    "measure": {"window": "1ms", "rounds": 21, "openings": 3},
}


def code_of(cell: Cell) -> str:
    return FRAME_SIZES[cell.frame_size] if cell.method == "sendto" else "imprecise"


@dataclass
class Noted(FakeOpening):
    """Gives the cell of each frame size the note that is its."""

    def open_cell(self, cell: str) -> Facts:
        code = code_of(self.cells[cell])
        super().open_cell(cell)
        return {
            "sndbuf": 2 * ASKED * (2 if code == "clamped" else 1),
            "mmap_unlocked": code == "unlocked",
            "zero_copy": code == "zero-copy",
        }


def sample(cell: Cell, round_: int) -> Sample:
    return SAMPLES[code_of(cell)](at_rate(cell, round_, 1e6 + 1e3 * (round_ % 3)))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, built_core: None) -> Sequence[Outcome]:
    """Three nights, whose cells have these notes."""
    folder = tmp_path_factory.mktemp("noted")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        nights = Nights(folder / "here" / "m", monkeypatch, MATRIX)
        return [nights.tonight(make_opening=Noted(sample)) for _ in range(3)]


@pytest.fixture(scope="module")
def paths(outcomes: Sequence[Outcome]) -> list[str]:
    return [str(outcome.run) for outcome in outcomes]


def shown(paths: Sequence[str], _outcomes: Sequence[Outcome]) -> Document:
    run = reader.read(Path(paths[0]))
    made = make_report(run)
    return answered(run, made, known=answer_of(run, made.rows))


def compared(paths: Sequence[str], _outcomes: Sequence[Outcome]) -> Document:
    return comparisons.document_of(sides.compare(paths[0], paths[1:2], Policy()))


def compared_with_several(paths: Sequence[str], _outcomes: Sequence[Outcome]) -> Document:
    return comparisons.document_of(sides.compare(paths[0], paths[1:], Policy()))


def of_nights(_paths: Sequence[str], outcomes: Sequence[Outcome]) -> Document:
    return nightly.document_of(outcomes[-1:])


def of_history(paths: Sequence[str], _outcomes: Sequence[Outcome]) -> Document:
    folder = Path(paths[0]).parent
    nights = nights_in(folder).nights
    cells = [*timeline.cells_of(nights).values()]
    return history.document_of(timeline.timeline(nights, cells), folder)


DOCUMENTS = (shown, compared, compared_with_several, of_nights, of_history)


def test_these_are_all_notes() -> None:
    source = inspect.getsource(made_notes)
    assert {*SAMPLES} == {*re.findall(r'Note\("([\w-]+)"', source), "invalid"}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("verb", DOCUMENTS)
def test_every_format_of_every_verb_has_every_note(
    verb: Callable[..., Document], form: str, paths: list[str], outcomes: Sequence[Outcome]
) -> None:
    text = FORMATS[form](verb(paths, outcomes), PAPER)
    assert [code for code in SAMPLES if code not in text] == []


@pytest.mark.parametrize("verb", DOCUMENTS)
def test_programs_find_each_note_at_its_cell(
    verb: Callable[..., Document], paths: list[str], outcomes: Sequence[Outcome]
) -> None:
    document = json.loads(FORMATS["json"](verb(paths, outcomes), PAPER))
    rows = next(rows for name, rows in document.items() if name in ("cells", "series"))
    of_cells = [row for row in rows if row["axes"].get("frame_size")]
    assert of_cells
    for row in of_cells:
        code = FRAME_SIZES[row["axes"]["frame_size"]]
        told = row["notes"] if verb is not shown else [row["notes"], row["invalid_rounds"]]
        assert noted(told, code) or (verb is shown and code == "invalid" and told[1] == 5), row


def noted(notes: Any, code: str) -> bool:
    """In a list, or on each side."""
    if isinstance(notes, Mapping):
        return all(noted(of, code) for of in notes.values())
    return code in json.dumps(notes)


@pytest.mark.parametrize("form", [name for name in EXPORTS if name not in ("bencher", "parquet")])
def test_exports_have_every_note(form: str, paths: list[str]) -> None:
    text = EXPORTS[form].make(measured(reader.read(Path(paths[0])))).decode()
    assert [code for code in SAMPLES if code not in text] == []


def test_the_metadata_of_parquet_have_every_note(paths: list[str]) -> None:
    content = EXPORTS["parquet"].make(measured(reader.read(Path(paths[0]))))
    about = json.loads(parquet.read_schema(BytesIO(content)).metadata[b"bench"])
    assert [code for code in SAMPLES if code not in json.dumps(about["notes"])] == []


def test_a_format_without_notes_leaves_out_what_is_no_evidence(paths: list[str]) -> None:
    of = measured(reader.read(Path(paths[0])))
    found = json.loads(EXPORTS["bencher"].make(of))
    without = {code_of(cell.result.cell) for cell in of.cells if "pps" not in found[cell.name]}
    assert without == {*NO_EVIDENCE, "failover"}  # its frame was lost
    assert all("ns-per-frame" in measures for measures in found.values())


def test_verdicts_as_junit_have_every_note(paths: list[str], outcomes: Sequence[Outcome]) -> None:
    (of,) = sides.compare(paths[0], paths[1:2], Policy())
    for suites in ([junit.of_comparison("m", of.result)], junit.of_nights(outcomes[-1:])):
        text = junit.render(suites)
        assert [code for code in SAMPLES if code not in text] == []


def test_a_page_of_two_runs_has_every_note_in_each_part(paths: list[str], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert main(["report", *paths[:2], "-o", str(page)]) == 0
    text = page.read_text().partition('id="data"')[0]
    found = {code: len(re.findall(rf"\b{code}\b", text)) for code in SAMPLES}
    assert [code for code, times in found.items() if times < 3] == []


def test_figures_in_tests_have_every_note(paths: list[str]) -> None:
    run = reader.read(Path(paths[0]))
    rows = make_report(run).rows
    of = MeasuredMatrix(run, rows, {cell.id: "x" for cell in run.cells})
    for cell in of.cells():
        assert code_of(cell.result.cell) in f"{cell.ns_per_frame!r} {cell.pps.doubt}"


def test_a_gate_that_is_closed_has_every_note(paths: list[str]) -> None:
    failing = gate(paths[0], Path(paths[1]), strict=True).failing
    cells = {cell.id: cell for cell in reader.read(Path(paths[1])).cells}
    assert failing
    for id_, text in failing.items():
        assert code_of(cells[id_]) in text


def test_a_comparison_of_one_side_is_named_after_it(paths: list[str]) -> None:
    of = sides.compare(paths[0], paths[1:], Policy())
    rows = comparison.records_of(of[1].result, {}, ("A", of[1].name)).rows
    assert {*rows[0]["notes"]} == {"A", "C"}
