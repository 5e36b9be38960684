"""Every verb that prints makes a document, and every format prints any."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cli import COMMANDS, main, options
from bench.render import FORMATS, best
from bench.render.document import Document
from bench.render.screen import Screen
from tests.running import Bench, measured

WRITE_FILES = ("schema", "export", "init", "completion", "report", "plot")
VERBS = [name for name in COMMANDS if name not in WRITE_FILES]
"""What the others write is a file of its own kind."""


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory, built_core: None) -> dict[str, list[str]]:
    """Each verb with arguments: a matrix that needs no privilege, and two runs of it."""
    folder = tmp_path_factory.mktemp("documents")
    matrix = str(Bench(folder).matrix())
    stored = Path(measured(folder, {"method": ["null"], "frame_size": [64, 1514]}).path)
    header, samples = stored.read_text().split("\n", 1)
    other = folder / "other.jsonl"
    other.write_text(json.dumps(json.loads(header) | {"id": "other"}) + f"\n{samples}")
    acked = folder / "acked"
    (acked / "here" / "m").mkdir(parents=True)
    past = folder / "past" / "here" / "m"
    past.mkdir(parents=True)
    shutil.copy(stored, past)
    return {
        "run": [matrix, "--results", str(folder / "results")],
        "plan": [matrix, "--cells"],
        "show": [str(stored)],
        "compare": [str(stored), str(other)],
        "ab": [matrix, "--results", str(folder / "results")],
        "nightly": [matrix, "--results", str(folder / "results")],
        "ack": [
            *["--night", "2026-11-28", "--note", "BIOS", "--machine", "here", "--results"],
            str(acked),
        ],
        "history": ["m", "--machine", "here", "--results", str(folder / "past")],
        "methods": [],
        "doctor": [matrix],
    }


@pytest.fixture
def printed(
    commands: dict[str, list[str]], capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """What a verb prints in a format."""

    def print_(verb: str, form: str, *more: str) -> str:
        capsys.readouterr()
        assert main([verb, *commands[verb], "--format", form, *more]) in (0, 4)
        return capsys.readouterr().out

    return print_


@pytest.mark.parametrize("verb", VERBS)
def test_every_format_prints_every_verb(printed: Callable[..., str], verb: str) -> None:
    texts = {form: printed(verb, form) for form in FORMATS}
    assert all(text.endswith("\n") and not text.endswith("\n\n") for text in texts.values())
    assert len(set(texts.values())) == len(FORMATS)
    document = json.loads(texts["json"])
    assert document.keys() >= {"format", "name", "description", "facts", "notes"}
    header, *records = csv.reader(io.StringIO(texts["csv"]))
    assert records
    assert {len(record) for record in records} == {len(header)}
    assert len(records) in [len(rows) for rows in document.values() if isinstance(rows, list)]


@pytest.mark.parametrize("verb", VERBS)
def test_a_new_format_is_one_row_and_prints_every_verb(
    printed: Callable[..., str], verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them falls back to a format that it knows."""

    def rows(document: Document, _screen: Screen) -> str:
        return f"{len(document.records.rows)} {document.records.name}\n"

    monkeypatch.setitem(FORMATS, "rows", rows)
    number, name = printed(verb, "rows").split()
    assert int(number) > 0
    assert name in ("cells", "findings", "methods", "acknowledgements", "series")


def test_facts_are_typed_for_programs(printed: Callable[..., str]) -> None:
    """Each has a key, a unit in it or in its fields, and no sentence."""
    facts = json.loads(printed("show", "json"))["facts"]
    assert facts["measured"]["window_ns"] == 1_000_000
    assert facts["measured"]["rounds"] == {"min": 2, "max": 2}
    assert facts["memory_bytes"] > 2**20
    assert facts["kernel"]["release"] == os.uname().release
    assert all(isinstance(cpu, int) for cpu in facts["cores_used"])
    assert facts["disturbance"]["slices"] == 4
    assert all(key.isidentifier() and not isinstance(facts[key], float) for key in facts)
    planned = json.loads(printed("plan", "json"))["facts"]
    assert (planned["cells"], planned["rounds"]) == (2, {"min": 2, "max": 2})
    assert planned["time_ns"]["least"] > 0


@pytest.mark.parametrize("verb", ["plan", "show", "compare", "history"])
def test_ids_are_no_numbers_and_either_form_chooses_a_cell(
    printed: Callable[..., str], verb: str
) -> None:
    rows = [*csv.DictReader(io.StringIO(printed(verb, "csv")))]
    key = "series" if verb == "history" else "cell"
    names = {row[key] for row in rows if re.fullmatch(r"c?[0-9a-f]{10}", row[key])}
    assert len(names) == 2
    assert all(name.startswith("c") and len(name) == 11 for name in names)
    if verb == "compare":
        return
    choose = ("--cell", "{}") if verb == "history" else ("--filter", "cell={}")
    for name in names:
        for form in (name, name[1:]):
            chosen = printed(verb, "csv", *(part.format(form) for part in choose))
            left = {row[key] for row in csv.DictReader(io.StringIO(chosen))}
            assert left & names == {name}


@pytest.mark.parametrize("verb", ["run", "plan", "show", "compare", "ab", "history"])
def test_no_format_has_an_id_without_its_letter(printed: Callable[..., str], verb: str) -> None:
    known = {row["cell"][1:] for row in csv.DictReader(io.StringIO(printed("plan", "csv")))}
    assert known
    bare = re.compile(f"(?<![0-9a-z])({'|'.join(known)})")
    for form in FORMATS:
        assert not bare.findall(printed(verb, form))


def test_only_a_terminal_gets_a_short_heading_and_asks_for_the_rest(
    printed: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    piped = printed("show", "terminal")
    assert "mitigations" in piped
    monkeypatch.setattr(options, "_is_for_a_terminal", lambda args: args.output is None)
    short = printed("show", "terminal")
    for label in ("run ", "date ", "machine ", "disturbance "):
        assert f"\n  {label}" in short
    for label in ("mitigations", "memory", "core", "kernel", "measured"):
        assert f"\n  {label}" not in short
    assert printed("show", "terminal", "--verbose") == piped


def test_a_long_table_is_short_on_a_terminal_alone(
    printed: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(best, "LONG", 1)
    monkeypatch.setattr(best, "SENDS_NOTHING", "none")  # null would be no best
    assert "--all shows" not in printed("show", "terminal")
    monkeypatch.setattr(options, "_is_for_a_terminal", lambda args: args.format == "terminal")
    monkeypatch.setattr(best, "contest_of", lambda cell: "one")
    assert "--all shows the other 1" in " ".join(printed("show", "terminal").split())
    assert "--all shows" not in printed("show", "terminal", "--all")
    assert "--all shows" not in printed("show", "markdown")


PROVENANCE = ("run", "run_id", "matrix", "started", "machine", "kernel", "core")


def test_figures_say_where_they_are_from(printed: Callable[..., str]) -> None:
    """In each row of CSV and in JSON, with the same names and values."""
    expected = {
        "show": PROVENANCE,
        "ab": PROVENANCE,
        "compare": tuple(f"{name}_{side}" for side in "ab" for name in PROVENANCE),
        "history": ("matrix", *(f"last_{n}" for n in PROVENANCE if n != "matrix")),
    }
    for verb, names in expected.items():
        found = json.loads(printed(verb, "json"))["provenance"]
        assert found.keys() == set(names)
        assert all(found.values())
        if verb != "ab":  # which measures anew
            rows = [*csv.DictReader(io.StringIO(printed(verb, "csv")))]
            assert rows
            assert all({name: row[name] for name in names} == found for row in rows)
    sides = json.loads(printed("compare", "json"))["sides"]
    assert {*PROVENANCE} <= sides["a"][0].keys()
    heading = printed("compare", "terminal").split("\n\n")[1]
    for part in ("run other", "started ", f"kernel {os.uname().release}", "core ", "on "):
        assert part in " ".join(heading.split())


@pytest.mark.parametrize("verb", ["plan", "show", "compare", "methods"])
def test_what_is_printed_can_be_written_to_a_file(
    printed: Callable[..., str], tmp_path: Path, verb: str
) -> None:
    table = tmp_path / "table"
    assert printed(verb, "csv", "--output", str(table)) == ""
    assert table.read_text() == printed(verb, "csv")
