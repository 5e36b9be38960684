"""Packed samples are the samples; what is not what was packed is refused in a line."""

from __future__ import annotations

import base64
import json
import lzma
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.base.errors import UsageError
from bench.model.problems import Code, Problem
from bench.model.results import LARGEST_INTEGER
from bench.model.run import Run
from bench.model.samples import Sample, ThreadSample
from bench.store import coding, planes, reader
from bench.store.columns import Shape, columns_of, rows_of
from bench.store.packed import pack
from bench.store.writer import RunWriter
from tests.builders import a_cell, a_header, a_sample

RESULTS = sorted((Path(__file__).parents[2] / "results").rglob("*.jsonl"))


def write(path: Path, samples: list[Sample], end: str = "done") -> Path:
    cells = [a_cell(name) for name in dict.fromkeys(sample.cell for sample in samples)]
    with RunWriter(path) as writer:
        writer.header(a_header(), cells)
        for sample in samples:
            writer.sample(sample)
        writer.failure("x", "gone")
        if end:
            writer.end(end, wall_s=1.5)
    return path


def packed(path: Path) -> tuple[Run, Run]:
    """The run before and after."""
    before = reader.read(path)
    pack(path)
    return before, reader.read(path)


# Nothing is lost

numbers = st.integers(0, 50) | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
threads = st.builds(ThreadSample, **{f: numbers for f in ThreadSample.__dataclass_fields__})
codes = st.sampled_from([*Code]).filter(lambda code: code is not Code.OTHER)
problems = st.lists(st.builds(Problem, codes, numbers, numbers, numbers), max_size=2)
samples = st.builds(
    Sample,
    **{f: numbers for f, of in Sample.__dataclass_fields__.items() if of.type == "int"},
    cell=st.sampled_from(["a", "b", "ä"]),
    threads=st.lists(threads, max_size=3).map(tuple),
    problems=problems.map(tuple),
    carrier_lost=st.sampled_from(["", "s1", "\ud7ff"]),
    per_sink=st.just(()) | st.tuples(numbers, numbers),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(samples, max_size=12, unique_by=lambda sample: sample.slice))
def test_any_run_is_what_it_was(
    tmp_path_factory: pytest.TempPathFactory, some: list[Sample]
) -> None:
    alike: dict[str, Sample] = {}  # the samples of a cell go by as many ways
    some = [
        replace(s, per_sink=alike.setdefault(s.cell, s).per_sink and (1, s.round)) for s in some
    ]
    path = write(tmp_path_factory.mktemp("any") / "r.jsonl", some)
    before, after = packed(path)
    assert after == before
    assert after.samples == tuple(some)


values = st.recursive(
    st.none()
    | st.booleans()
    | numbers
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["cell", "threads", "", "new"]), values)))
def test_any_fields_come_back_of_later_versions_too(rows: list[dict[str, Any]]) -> None:
    assert coding.decoded(coding.encoded(rows), len(rows)) == rows


def test_a_column_that_says_nothing_of_absent_fields_has_them_all() -> None:
    """So it is written: what is at its default is left out."""
    shape = msgspec.convert({"name": "lost"}, Shape)
    assert rows_of(2, [(shape, [0, 3])]) == [{"lost": 0}, {"lost": 3}]
    sparse = msgspec.convert({"name": "lost", "is_sparse": True}, Shape)
    assert rows_of(2, [(sparse, [0, 3])]) == [{}, {"lost": 3}]


def test_no_numbers_have_no_planes() -> None:
    assert planes.planes_of([]) == planes.planes_of([0, 0]) == []
    assert planes.numbers_of([], 0, is_signed=False) == []


@pytest.mark.parametrize("numbers", [[-1], [-1, 1]])
@pytest.mark.parametrize(
    "shape",
    [Shape("x", items="objects"), Shape("x", items="numbers"), Shape("x", texts=["a", "b"])],
    ids=["objects", "numbers", "texts"],
)
def test_what_counts_or_names_something_is_not_below_0(shape: Shape, numbers: list[int]) -> None:
    with pytest.raises((ValueError, LookupError)):
        rows_of(len(numbers), [(shape, numbers)])
    assert rows_of(0, [(shape, [])]) == []


def test_lists_of_numbers_and_of_objects_come_back_beside_each_other() -> None:
    rows = [{"sinks": [1, 2], "threads": [{"cpu": 1}, {"cpu": 2}]}, {"sinks": [], "threads": []}]
    made = columns_of(rows, ["threads"], ["cpu"])
    assert [shape.name for shape, _ in made][:2] == ["threads", "cpu"]
    assert rows_of(2, made) == rows


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_run_that_was_measured_takes_at_most_22_bytes_a_sample(
    tmp_path: Path, path: Path
) -> None:
    copy = tmp_path / "r.jsonl"
    copy.write_bytes(path.read_bytes())
    before, after = packed(copy)
    assert after == before
    lines = copy.read_text().splitlines()
    size = sum(len(line) + 1 for line in lines if line.startswith('{"type":"samples"'))
    assert size <= 22 * (len(after.samples) + len(after.calibration_samples))


def test_many_samples_take_several_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coding, "MOST", 7)
    path = write(tmp_path / "r.jsonl", [a_sample("a", round_) for round_ in range(20)])
    before, after = packed(path)
    assert after == before
    assert path.read_text().count('{"type":"samples"') == 3


def test_a_run_that_went_on_is_packed_again_and_all_else_stays(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", [a_sample("a", 0)], end="interrupted")
    pack(path)
    with RunWriter(path, append=True) as writer:
        writer.resume("now")
        writer.sample(a_sample("a", 1))
        writer.write("unheard of", {"text": "\u2028 1e999"})
        writer.end("done")
    others = [line for line in path.read_text().split("\n")[1:] if '"type":"sample' not in line]
    before, after = packed(path)
    assert after == before
    assert [sample.round for sample in after.samples] == [0, 1]
    first, samples, *rest = path.read_text().split("\n")
    assert json.loads(first)["format"] == 2
    assert json.loads(samples)["count"] == 2
    assert rest == others


# What is not packed


def test_a_run_that_did_not_end_stays_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", [a_sample()], end="")
    content = path.read_bytes()
    with pytest.raises(UsageError, match="this run did not end; --resume takes it up"):
        pack(path)
    with RunWriter(path, append=True), pytest.raises(UsageError, match="is still going on"):
        pack(path)
    assert path.read_bytes() == content


# What was not packed so

DAMAGED = "`data` is damaged"
UNFIT = f"{DAMAGED}: its columns do not fit together"


def line_of(rows: int = 30) -> dict[str, Any]:
    samples = [{"cell": "a", "round": n, "threads": [{"cpu": n % 3}]} for n in range(rows)]
    return {"type": "samples", "count": rows, "data": coding.encoded(samples)}


def blob(head: object, planes: bytes = b"") -> str:
    plain = msgspec.json.encode(head) + b"\n" + planes
    return base64.b85encode(lzma.compress(plain, check=lzma.CHECK_CRC32)).decode()


def columns(*made: dict[str, Any]) -> dict[str, Any]:
    return {"columns": made, "noise_crc32": zlib.crc32(b"")}


CELL = {"name": "cell", "texts": ["a"]}
GOOD = line_of()["data"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"count": None}, "count is null; it must be a whole number"),
        ({"data": 1}, "data is 1; it must be text"),
        ({"count": -1}, "`count` is -1; it must be from 0 to 16384"),
        ({"count": 10**9}, "`count` is 1000000000; it must be from 0 to 16384"),
        ({"count": 29}, UNFIT),
        ({"count": 31}, UNFIT),
        ({"data": "é"}, "`data` is not base85"),
        ({"data": 'a"b'}, "`data` is not base85"),
        ({"data": ""}, "`data` is cut off"),
        ({"data": GOOD[:100]}, "`data` is cut off"),
        ({"data": GOOD[:100] + "0" + GOOD[101:]}, DAMAGED),
        ({"data": GOOD + "00000"}, DAMAGED),
        ({"data": blob([], b"")}, UNFIT),
        ({"data": blob(columns(), bytes(2**24))}, "`data` is more than `count` samples can be"),
        ({"data": blob(columns(CELL | {"width": 9}))}, UNFIT),
        ({"data": blob(columns(CELL | {"of": 5}))}, UNFIT),
        ({"data": blob(columns(CELL | {"unit": 0, "guess": {"plus": [0]}}))}, UNFIT),
        ({"data": blob(columns(CELL, {"name": "x", "guess": {"plus": [-1]}}))}, UNFIT),
        ({"data": blob(columns(CELL, *[{"name": f"{n}"} for n in range(5000)]))}, UNFIT),
        (
            {"data": blob(columns({"name": "l", "items": "objects", "width": 8}), b"\x7f" * 240)},
            UNFIT,
        ),
    ],
)
def test_what_was_not_packed_so_is_refused_with_its_line(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    path = write(tmp_path / "r.jsonl", [], end="")
    with path.open("a") as file:
        file.write(json.dumps(line_of() | change) + "\n")
    with pytest.raises(UsageError) as refusal:
        reader.read(path)
    told = str(refusal.value).removeprefix(f"{path}:3: not a line of type samples: ")
    assert told == said or (said == DAMAGED and told == UNFIT)


LONG = base64.b85decode(line_of(300)["data"])


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(LONG) - 1), st.integers(1, 255))
@example(29, 1)  # how LZMA guesses from upper bits of bytes, which none of these has
def test_a_byte_that_is_another_is_noticed_or_changes_no_sample(at: int, change: int) -> None:
    damaged = bytes(byte ^ change * (at == n) for n, byte in enumerate(LONG))
    try:
        found = coding.decoded(base64.b85encode(damaged).decode(), 300)
    except ValueError as error:
        assert "`data`" in str(error)  # noqa: PT017 - what is not noticed must change nothing
    else:
        assert found == coding.decoded(base64.b85encode(LONG).decode(), 300)


def test_a_field_that_no_sample_has_is_passed_over(tmp_path: Path) -> None:
    samples = [{"cell": "a", "round": 1, "at_ns": 1, "wall_ns": 2, "threads": [], "new": [{}, 1]}]
    path = write(tmp_path / "r.jsonl", [], end="")
    record = {"type": "samples", "count": 1, "data": coding.encoded(samples)}
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")
    assert [sample.round for sample in reader.read(path).samples] == [1]
