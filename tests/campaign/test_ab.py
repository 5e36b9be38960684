"""`bench ab`: the plan of both sides, a run over openings that measure nothing, and bad input."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bench.analysis.verdicts import Verdict
from bench.base.errors import UsageError
from bench.campaign import ab
from bench.campaign.ab import Planned, Wanted
from bench.cli import main
from bench.measure import runner
from bench.measure.opening import Setting
from bench.measure.sides import Sides, SidesOpening
from bench.model.cells import Cell
from bench.model.run import Run
from bench.model.samples import Sample
from bench.render import sides
from bench.store import reader
from tests.measure.fake_opening import FakeOpening, at_rate
from tests.running import Quiet, complaints, seen

METHODS = ["send", "sendto", "sendmmsg"]


@pytest.fixture
def matrix(tmp_path: Path) -> Callable[..., Path]:
    def write(measure: Any = None, **axes: Any) -> Path:
        path = tmp_path / "m.yaml"
        some = {"interface": ["veth"], "method": METHODS, "frame_size": [64], "burst": [8]}
        measure = measure or {"window": "1ms", "rounds": 20}
        path.write_text(json.dumps({"name": "m", "axes": some | axes, "measure": measure}))
        return path

    return write


def planned(path: Path, **wanted: Any) -> Planned:
    return ab.planned(path, (), None, Wanted(**wanted))


def run(of: Planned, path: Path, slower: float = 0.0, **target: Any) -> Run:
    """Every cell of B is so much slower, as a fraction."""

    def sample(cell: Cell, round_: int) -> Sample:
        return at_rate(cell, round_, 1e9 * (1 - slower if cell.id in of.plan.twins else 1))

    def make(_: Setting, cells: Sequence[Cell]) -> FakeOpening:
        return FakeOpening(sample)(_, cells)

    both = Sides(of.sides, frozenset(of.plan.twins), {}, lambda _: None)
    opening = partial(SidesOpening, both, make=make)
    return runner.run(
        of.matrix,
        of.plan,
        runner.Target(path, **target),
        Quiet(),
        seen(),
        make_opening=opening,
        sides=of.sides,
    )


# Plans


def test_each_cell_has_a_twin_which_is_its_own_cell_and_has_it_as_its_baseline(
    matrix: Callable[..., Path],
) -> None:
    of = planned(matrix())
    a, b = of.plan.cells[:3], of.plan.cells[3:]
    assert [cell.values for cell in a] == [cell.values for cell in b]
    assert not {cell.id for cell in a} & {cell.id for cell in b}
    pairs = dict(zip([cell.id for cell in b], [cell.id for cell in a], strict=True))
    assert of.plan.baselines == of.plan.twins == pairs
    assert of.sides[0].core == of.sides[1].core


def test_a_side_may_have_another_value_on_an_axis(matrix: Callable[..., Path]) -> None:
    of = planned(matrix(), settings_b=["interface={kind: veth, filters: 3}", "sndbuf=64KiB"])
    a, b = of.plan.cells[:3], of.plan.cells[3:]
    for cell, twin in zip(a, b, strict=True):
        changed = {axis for axis in cell.values if cell.values[axis] != twin.values[axis]}
        assert changed == {"interface", "sndbuf"}
    assert of.sides[1].settings.keys() == {"interface", "sndbuf"}
    assert len(of.plan.topologies) == 2


@pytest.mark.parametrize(
    ("rounds", "openings", "expected"),
    [(100, 1, 10), (20, 1, 4), (4, 1, 1), (100, 3, 3), (100, 20, 20), (100, 2, 10)],
)
def test_a_run_has_openings_that_show_how_far_they_differ_if_it_has_rounds_for_them(
    matrix: Callable[..., Path], rounds: int, openings: int, expected: int
) -> None:
    of = planned(matrix({"window": "1ms", "rounds": rounds, "openings": openings}))
    assert of.matrix.measure.openings == expected


@pytest.mark.parametrize(
    ("axes", "setting", "said"),
    [
        ({}, "qdisc", "not of the form AXIS=VALUE"),
        ({}, "nothing=1", "unknown axis"),
        ({}, "frame_size=64", "side A has that, too"),
        ({}, "interface={kind: veth, filters: 0}", "side A has that, too"),
        ({"method": ["send"], "burst": [1]}, "burst=7", "nothing reads it"),
        ({}, "qdisc=nonsense", "'nonsense' is unknown"),
        ({}, "frame_size=[64, 65]", "one value"),
        ({}, "frame_size=64]\n  threads: [1", "one axis"),
        ({"frame_size": [64, 65]}, "frame_size=66", "keep one value"),
        ({}, "qdisc={kind: tbf, rate: 1gbit, burst: 50, limit: 1MiB}", "side B"),
        ({"interface": ["lo"]}, "interface={kind: device, name: eth9}", "device eth9"),
    ],
)
def test_a_value_that_side_b_cannot_have_is_refused(
    matrix: Callable[..., Path], axes: dict[str, Any], setting: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        planned(matrix(**axes), settings_b=[setting])


def test_a_device_is_there_once(matrix: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match="device eth9 is there once"):
        planned(matrix(interface=[{"kind": "device", "name": "eth9"}]))


# Runs


def test_what_b_costs_is_told_and_what_is_alike_is_unchanged(
    matrix: Callable[..., Path], tmp_path: Path
) -> None:
    of = planned(matrix())
    for slower, verdict in ((0.0, Verdict.UNCHANGED), (0.02, Verdict.REGRESSED)):
        result = sides.compared(run(of, tmp_path / f"{slower}.jsonl", slower))
        assert {row.verdict for row in result.rows} == {verdict}
        assert {shift.verdict for shift in result.shifts} == {verdict}
        assert {row.cell.method for row in result.rows} == {*METHODS}
        assert result.openings == 4


def test_a_stored_run_of_two_sides_is_shown_as_it_was_and_nothing_else_is_made_of_it(
    matrix: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ab.jsonl"
    of = planned(matrix())
    made = run(of, path, 0.02)
    result = sides.compared(made)
    document = sides.document_of(made, result)
    assert json.loads(path.read_text().partition("\n")[0])["format"] == 2
    assert main(["show", str(path), "--all"]) == 0
    out = capsys.readouterr().out
    assert "3 cells: 3 regressed" in out
    assert sides.document_of(reader.read(path), result).notes == document.notes
    assert main(["show", str(path), "--filter", "method=send", "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [cell["axes"]["method"] for cell in shown["cells"]] == ["send"]
    assert shown["sides"].keys() == {"a", "b"}
    for arguments in (["compare", path, path], ["show", path, "--normalise"]):
        (said,) = complaints(capsys, *arguments)
        assert "two sides" in said


def test_a_run_is_resumed_with_its_own_sides_and_with_no_others(
    matrix: Callable[..., Path], tmp_path: Path
) -> None:
    path, file = tmp_path / "ab.jsonl", matrix()
    of = planned(file, sysctls_b=["net.core.somaxconn=100"])
    whole = run(of, path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: len(lines) // 2]))
    with pytest.raises(UsageError, match="two other sides"):
        run(planned(file), path, resume=True)
    resumed = run(of, path, resume=True)
    assert resumed.end == "done"
    assert {s.cell for s in resumed.samples} == {s.cell for s in whole.samples}
    path.write_text("".join(lines[: len(lines) // 2]))
    with pytest.raises(UsageError, match="two other sides"):
        runner.run(of.matrix, of.plan, runner.Target(path, resume=True), Quiet(), seen())
