"""Run files in which one value is not what it was: a table or a line, never a traceback."""

from __future__ import annotations

import copy
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import cli
from bench.base.errors import UsageError
from bench.matrix import load
from bench.measure import prepare, runner
from bench.model.cells import Cell
from bench.model.results import Estimate
from bench.model.summaries import CellSummary, OpeningFigures
from bench.plan import calibration, plan
from bench.render import FORMATS
from bench.store import lines
from bench.store.writer import RunWriter
from tests.builders import a_cell, a_header, a_sample, a_thread
from tests.running import Quiet, seen
from tests.vocabulary import DEFAULTS

VETH = {"kind": "veth", "mtu": 1500, "peer": "stack"}
TBF = {"kind": "tbf", "rate": 10**9, "burst": 65536, "limit": 65536}
RING = {"version": 2, "block_size": 4096, "block_nr": 256, "frame_size": 2048}
CELLS = [
    a_cell("c1", method="sendto"),
    Cell(
        "c2",
        DEFAULTS
        | {"method": "tx_ring", "frame_size": 1514, "threads": 1, "burst": 64, "ring": RING}
        | {"interface": VETH, "qdisc": TBF, "sndbuf": {"bytes": 4096, "force": True}}
        | {"replica": 2, "affinity": "free"},
    ),
]
HEADER = {
    "id": "good",
    "started": "2026-11-22T19:49:58+00:00",
    "matrix": {"name": "m", "description": "d", "text": "", "baseline": {"method": "sendto"}},
    "measure": {
        "window_ns": 10_000_000,
        "warmup_ns": 300_000,
        "rounds": {"min": 20, "max": 400},
        "precision": 0.01,
        "seed": 1,
        "cpus": [1, 0],
        "cpus_why": "isolated",
        "privileges": "root",
    },
    "core": {"hash": "0123456789abcdef", "compiler": "gcc"},
    "host": {
        "hostname": "h",
        "kernel": "6.1",
        "kernel_version": "#1",
        "arch": "x86_64",
        "cpu": "AMD",
        "cpus_allowed": [0, 1],
        "memory_bytes": 2**34,
        "virtualisation": "none",
        "mitigations": {"spectre_v1": "Vulnerable"},
        "cmdline": "quiet mitigations=off",
        "sysctls": {"net.core.wmem_max": "212992"},
    },
    "devices": {
        "eth1": {
            "driver": "igb",
            "speed_mbit": 1000,
            "rings": {"tx": 256},
            "channels": {"tx": 1, "combined": 0},
            "features": ["tx-scatter-gather"],
        }
    },
    "doctor": {"verdict": "doctor: fine", "findings": []},
    "baselines": {"c1": "c1", "c2": "c1"},
    "thresholds": {"c2": 0.05},
}
ROUNDS = 20


def write(path: Path) -> list[dict[str, Any]]:
    with RunWriter(path) as writer:
        writer.header(a_header(**HEADER), CELLS, calibration.CALIBRATION)
        for cell in CELLS:
            writer.cell(cell.id, {"sndbuf": 212992, "mmap_unlocked": False, "cpus": [1]})
        for round_ in range(ROUNDS):
            for cell in (*CELLS, *calibration.CALIBRATION):
                wall = 10_000_000 + 1000 * round_
                counts = {"completed": 1000, "calls": 1000, "blocked_ns": 7, "run_delay_ns": 9}
                thread = a_thread(wall_ns=wall, cpu_ns=wall, **counts)
                more = {"cpus_ns": wall, "steal_ns": 1, "per_sink": (600, 400), "lost": 1}
                writer.sample(
                    a_sample(cell.id, round_, 1e5, wall_ns=wall, threads=(thread,), **more)
                )
        writer.failure("c2", "the worker died")
        openings = tuple(OpeningFigures(n, 10, 1e5, 1e4, 1.5, 0.5) for n in range(2))
        estimates = [Estimate(1e5, 9e4, 1.1e5, 20)] * 4
        of = {cell.id: CellSummary(cell.id, openings, *estimates, {"lossy": 1}) for cell in CELLS}
        writer.summaries(of, {"c2": "the worker died"})
        writer.end("done", wall_s=1.5, cpu={"steal": 0.1, "softirq": 0.2, "interrupts": 3})
    return [json.loads(line) for line in path.read_text().splitlines()]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there is a value: the keys and indices that lead to each, and to what it is in."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


REMOVED = object()
VALUES = {
    "removed": REMOVED,
    "null": None,
    "true": True,
    "zero": 0,
    "negative": -1,
    "large": 10**18,
    "huge": 10**400,
    "fraction": 0.5,
    "inf": float("inf"),
    "overflow": "1e999",
    "text": "x",
    "surrogate": "\ud800",
    "list": [1],
    "object": {"kind": 1},
    "nested": {"kind": {"a": [1]}},
}


def changed(line: dict[str, Any], place: tuple[Any, ...], value: object) -> dict[str, Any]:
    made = copy.deepcopy(line)
    inner: Any = made
    for key in place[:-1]:
        inner = inner[key]
    if value is REMOVED:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return made


def said_of(*arguments: str) -> tuple[int, list[str]]:
    """The exit code of a command, and its lines on stderr."""
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = cli.main([*arguments])
    return code, err.getvalue().splitlines()


class Files:
    """A run as ``write`` writes it, and one of which a line is edited."""

    def __init__(self, folder: Path, write: Callable[[Path], list[dict[str, Any]]] = write) -> None:
        self.good, self._bad = folder / "good.jsonl", folder / "bad" / "bad.jsonl"
        self._bad.parent.mkdir()
        self.lines = write(self.good)
        self.lines[0]["id"] = "edited"  # or it were a copy, which is not compared
        first_of_type = {line["type"]: n for n, line in reversed([*enumerate(self.lines)])}
        self.places = [(n, at) for n in first_of_type.values() for at in places(self.lines[n])]

    def edited(self, number: int, place: tuple[Any, ...], value: object) -> Path:
        lines = [*self.lines]
        lines[number] = changed(lines[number], place, value)
        texts = (json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        self._bad.write_text("".join(texts).replace('"1e999"', "1e999"))
        return self._bad


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("runs"))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_value_that_is_not_what_it_was_ends_in_a_table_or_in_one_line(
    files: Files, data: st.DataObject
) -> None:
    number, place = data.draw(st.sampled_from(files.places))
    bad = files.edited(number, place, VALUES[data.draw(st.sampled_from([*VALUES]))])
    for arguments in (["show", str(bad)], ["compare", str(files.good), str(bad), "--force"]):
        code, said = said_of(*arguments)
        assert code in (0, 2, 3, 4)
        assert len(said) == (code == 2)


class Unfinished(Files):
    """A run that was interrupted here, of a matrix of two rounds that need no privilege."""

    def __init__(self, folder: Path) -> None:
        self.matrix = folder / "m.yaml"
        axes = {"method": ["null"], "frame_size": [64, 1514]}
        measure = {"window": "1ms", "rounds": 2}
        content = {"name": "m", "axes": axes, "measure": measure, "baseline": {"frame_size": 64}}
        self.matrix.write_text(json.dumps(content))
        super().__init__(folder, self._interrupted)

    def _interrupted(self, path: Path) -> list[dict[str, Any]]:
        def interrupt() -> None:
            raise KeyboardInterrupt

        words = prepare.vocabulary()
        of = load.load(self.matrix, words)
        target = runner.Target(path)
        runner.run(of, plan.make_plan(of, words), target, Quiet(interrupt, after=6), seen())
        return [json.loads(line) for line in path.read_text().splitlines()]

    def resumed(self, path: Path) -> tuple[int, list[str]]:
        return said_of("run", str(self.matrix), "--resume", str(path))


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Unfinished:
    return Unfinished(tmp_path_factory.mktemp("unfinished"))


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_run_with_such_a_value_is_resumed_or_refused_in_one_line(
    unfinished: Unfinished, data: st.DataObject
) -> None:
    number, place = data.draw(st.sampled_from(unfinished.places))
    value = VALUES[data.draw(st.sampled_from([*VALUES]))]
    code, said = unfinished.resumed(unfinished.edited(number, place, value))
    assert code in (0, 2, 4)
    assert len(said) == 1


@pytest.mark.parametrize(
    "place",
    [("started",), ("measure", "precision"), ("host", "kernel_version"), ("core", "compiler")],
)
def test_what_a_run_does_not_say_of_itself_is_left_out_and_no_obstacle(
    unfinished: Unfinished, place: tuple[str, ...]
) -> None:
    assert unfinished.resumed(unfinished.edited(0, place, REMOVED))[0] == 0


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (
            ("started",),
            "yesterday",
            "started is 'yesterday'; it must be a date and time such as 2026-01-02T03:04:05+00:00",
        ),
        (("host", "cmdline"), 1, "host.cmdline is 1; it must be text"),
        (("measure", "cpus"), [True], "measure.cpus[0] is true; it must be a whole number"),
        (("doctor",), "fine", "doctor is 'fine'; it must be an object"),
    ],
)
def test_a_run_whose_header_is_bad_is_neither_shown_nor_resumed(
    unfinished: Unfinished, place: tuple[str, ...], value: object, said: str
) -> None:
    bad = unfinished.edited(0, place, value)
    before = bad.read_bytes()
    refusal = (2, [f"bench: {bad}:1: not a line of type run: {said}"])
    assert said_of("show", str(bad)) == refusal
    assert unfinished.resumed(bad) == refusal
    assert bad.read_bytes() == before


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("cells", 1, "values", "replica"), [1]),
        (("cells", 1, "values", "sndbuf"), [{"kind": 1}]),
        (("cells", 1, "values", "interface", "kind"), {"a": 1}),
        (("cells", 1, "values", "qdisc", "kind"), [1]),
        (("devices", "eth1", "speed_mbit"), "1e999"),
    ],
)
def test_what_no_axis_and_no_number_is_like_is_refused_with_its_line(
    files: Files, place: tuple[Any, ...], value: object
) -> None:
    bad = files.edited(0, place, value)
    for arguments in (["show", str(bad)], ["compare", str(files.good), str(bad)]):
        code, (line,) = said_of(*arguments, "--format", "json")
        assert code == 2
        assert line.startswith(f"bench: {bad}:1: not a line of ")


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("cells",), REMOVED, "1: not a line of type run: cells is missing"),
        (("host",), None, "1: not a line of type run: host is null; it must be an object"),
        (
            ("cells", 1, "values", "threads"),
            "2",
            "1: not a line of type run: cells[1].values.threads is '2'; it must be a whole number",
        ),
        (("measure", "window_ns"), 10**30, "1: not a line of a run file"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    files: Files, place: tuple[Any, ...], value: object, said: str
) -> None:
    bad = files.edited(0, place, value)
    for arguments in (["show", str(bad)], ["compare", str(files.good), str(bad)]):
        code, (line,) = said_of(*arguments)
        assert (code, line[: len(f"bench: {bad}:{said}")]) == (2, f"bench: {bad}:{said}")


def refusal_of(line: dict[str, Any], kind: str) -> str:
    record = lines.Record(Path("RUN"), 1, kind, line)
    try:
        of_type = {"sample": record.sample, "run": record.header}
        of_type.get(kind, record.check)()
    except UsageError as refusal:
        return str(refusal)
    return ""


def test_whatever_is_refused_is_named(files: Files) -> None:
    refused = 0
    for number, place in files.places:
        kind = files.lines[number]["type"]
        if kind == "summaries":  # its columns must fit each other, too
            continue
        at = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place)
        named = f"RUN:1: not a line of type {kind}: {at.removeprefix('.')}"
        for value in (value for name, value in VALUES.items() if name != "huge"):
            if said := refusal_of(changed(files.lines[number], place, value), kind):
                assert said.startswith(named)
                assert re.match(r"\S* is (missing$|.+; it must be .+)", said[len(named) :])
                refused += 1
    assert refused > 300


EVIL = "\x1b]0;x\x07\x1b[2J \x9b31m \u202e \u2066 \x7f \u2028 \r \x08"
"""A terminal that is given it has another title, is empty, red, and turns what follows around."""


def is_safe(text: str) -> bool:
    return all(c.isprintable() or c == "\n" for c in text)


def evil(value: Any) -> Any:
    """The same with more than it had in every text, but for what tells lines and axes apart."""
    match value:
        case str():
            return value + EVIL
        case list():
            return [evil(inner) for inner in value]
        case dict():
            kept = ("type", "started", "cell", "id", "method", "privileges", "baselines", "kind")
            return {key: v if key in kept else evil(v) for key, v in value.items()}
    return value


@pytest.mark.parametrize("form", FORMATS)
def test_a_terminal_obeys_nothing_that_a_run_file_has_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    lines = [evil(line) for line in write(tmp_path / "run.jsonl")]
    paths = [tmp_path / f"{name}{EVIL}.jsonl" for name in "ab"]
    for number, path in enumerate(paths):
        lines[0]["id"] = f"{number}"
        lines[0]["matrix"]["name"] = "m" + EVIL * number
        lines[0]["host"]["cpu"] = f"{number}" + EVIL
        path.write_text("".join(json.dumps(line) + "\n" for line in lines)[:-5])
    a, b = map(str, paths)
    commands = [["show", a], ["compare", a, b], ["show", a + "x"], ["show", a, "--filter", EVIL]]
    lines[0]["matrix"]["name"] = "m"
    paths[1].write_text("".join(json.dumps(line) + "\n" for line in lines))
    commands += [["compare", a, b, "--force"], ["compare", a, b], ["compare", EVIL + ":x", b]]
    written = ""
    for command in commands:
        assert cli.main([*command, "--format", form]) in (0, 2, 3, 4)
        said = capsys.readouterr()
        written += said.out + said.err
        assert is_safe(said.out + said.err), command
    assert "\\x1b" in written


def test_nor_anything_that_a_matrix_has_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"m{EVIL}.yaml"
    matrix = {"name": "m", "description": f"what {EVIL}", "measure": {"rounds": 2, "window": "1ms"}}
    axes = [{"method": ["null"]}, {"method": ["null" + EVIL]}, {EVIL: [1]}]
    for chosen in axes:
        path.write_text(json.dumps(matrix | {"axes": chosen}))
        commands = [["plan", "--cells"], ["run", "--results", str(tmp_path / "r")], ["doctor"]]
        for command in [*commands, ["doctor", "--format", "json"]]:
            assert cli.main([*command, str(path)]) == (0 if chosen is axes[0] else 2)
            said = capsys.readouterr()
            assert is_safe(said.out + said.err), command
    (table,) = (tmp_path / "r").rglob("*.md")
    assert "\\x1b" in table.read_text()
    assert is_safe(table.read_text())


@pytest.mark.parametrize("form", FORMATS)
def test_a_lone_surrogate_is_written_as_its_escape(files: Files, form: str) -> None:
    bad = files.edited(0, ("host", "kernel"), "\ud800")
    odd = bad.with_name("\udcff.jsonl")  # as a name that is not UTF-8 is read
    odd.write_bytes(bad.read_bytes())
    table = bad.with_name("table")
    for arguments in (["show", str(odd)], ["compare", str(files.good), str(odd)]):
        code, _ = said_of(*arguments, "--format", form, "--output", str(table))
        assert code in (0, 4)
        assert "\\ud" in table.read_text() or form == "csv"
