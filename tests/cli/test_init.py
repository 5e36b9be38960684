"""``bench init``: a matrix that runs as it is."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bench.cli.init import SCHEMA
from bench.matrix import load
from bench.matrix.starter import starter
from tests.running import Bench, complaints, inside
from tests.vocabulary import WORDS


@pytest.mark.netns
def test_the_starter_runs_as_it_is(bench: Bench) -> None:
    assert bench("init").code == 0
    outcome = bench("run", "matrix.yaml", "--results", bench.results)
    assert outcome.code == 0, outcome.err
    run = bench.stored()
    assert run.end == "done"
    assert {cell.method for cell in run.cells} == {"sendto", "sendmmsg", "tx_ring"}
    assert len(run.cells) == 12


def test_the_schema_lies_beside_it_and_takes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "My rings.yaml"
    outcome = inside(capsys, "init", file)
    assert outcome.code == 0
    assert outcome.complaints == [f"wrote {file} and {tmp_path}/{SCHEMA}; next: bench run '{file}'"]
    first, *_ = file.read_text().splitlines()
    assert first == f"# yaml-language-server: $schema={SCHEMA}"
    schema = json.loads((tmp_path / SCHEMA).read_text())
    assert json.dumps(schema, indent=2) == inside(capsys, "schema").out.rstrip("\n")
    jsonschema.validate(yaml.safe_load(file.read_text()), schema)
    assert load.load(file, WORDS).name == "my_rings"


@pytest.mark.parametrize(
    "stem", ["2026-11-29", "10", "017", "1e5", "0x1f", "1_000", "on", "n", "true", "null"]
)
def test_a_name_that_yaml_would_take_for_something_else(
    stem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / f"{stem}.yaml"
    assert inside(capsys, "init", file).code == 0
    assert load.load(file, WORDS).name == stem
    assert yaml.safe_load(file.read_text())["name"] == stem


def test_what_it_leaves_in_comments_is_allowed_too(tmp_path: Path) -> None:
    text = starter("m", "m.yaml", SCHEMA)
    for line in text.splitlines():
        if line.startswith("  # ") and line.split()[1].rstrip(":") in (*WORDS.axes, "precision"):
            text = text.replace(line, line.replace("# ", "", 1))
    matrix = load.parse(text, "m.yaml", WORDS)
    assert {"threads", "qdisc_bypass", "ring"} <= matrix.axes.keys()


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "m.yaml"
    file.write_text("mine")
    assert complaints(capsys, "init", file) == [f"{file} is there already; name another file"]
    assert file.read_text() == "mine"
    assert not (tmp_path / SCHEMA).exists()
    schema = tmp_path / SCHEMA
    schema.write_text("{}")
    (line,) = complaints(capsys, "init", tmp_path / "other.yaml")
    assert line == f"{schema} is no schema of bench's; name a file in another folder"
    assert not (tmp_path / "other.yaml").exists()


def test_an_older_schema_of_bench_is_renewed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = tmp_path / SCHEMA
    schema.write_text(json.dumps({"title": load.SCHEMA_TITLE}))
    assert inside(capsys, "init", tmp_path / "m.yaml").code == 0
    assert json.loads(schema.read_text())["properties"]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("m.json", "a matrix is a .yaml file; name one"),
        ("a\nb.yaml", "a matrix is a .yaml file; name one"),
        ("none/m.yaml", "there is no folder"),
    ],
)
def test_a_name_that_will_not_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, complaint: str
) -> None:
    outcome = inside(capsys, "init", tmp_path / name)
    assert outcome.code == 2
    assert complaint in outcome.err
    assert not [*tmp_path.iterdir()]


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=99))
def test_any_file_name_is_a_comment(stem: str) -> None:
    matrix = load.parse(starter("m", f"{stem}.yaml", SCHEMA), "m.yaml", WORDS)
    assert matrix.name == "m"
