"""The formats that are JSON, against the schemas of their readers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bench.render.export import bencher, github_action
from tests.render.export.runs import cells, exported, failed, foreign

SCHEMAS = Path(__file__).parents[2] / "data" / "schemas"
SENDTO = "m/interface=lo/method=sendto/frame_size=64"


def checked(content: bytes, schema: str) -> Any:
    made = json.loads(content)
    jsonschema.Draft7Validator(json.loads((SCHEMAS / schema).read_text())).validate(made)
    return made


def test_bencher_has_each_figure_with_the_ends_of_its_interval() -> None:
    made = checked(bencher.make(exported()), "bmf.json")
    sendto, ring = made.values()
    assert next(iter(made)) == SENDTO
    assert sendto.keys() == {"pps", "ns-per-frame"}
    assert sendto["pps"]["value"] == 1_000_000
    assert ring["ratio"]["value"] == pytest.approx(1.2)
    assert ring["ns-per-frame"].keys() == {"value", "lower_value", "upper_value"}
    bounds = ring["ns-per-frame"]
    assert bounds["lower_value"] <= bounds["value"] <= bounds["upper_value"]


def test_bencher_takes_names_of_at_most_1024_characters() -> None:
    made = checked(bencher.make(foreign()), "bmf.json")
    assert len(made) == 3
    assert max(map(len, made)) <= 1024


def test_a_figure_without_interval_has_no_ends() -> None:
    made = checked(bencher.make(exported(rounds=2, openings=1)), "bmf.json")
    assert made[SENDTO]["pps"] == {"value": 1_000_000}


def test_what_is_better_bigger_is_a_file_of_its_own() -> None:
    schema = "github_action_benchmark.json"
    bigger = checked(github_action.make_bigger(exported()), schema)
    smaller = checked(github_action.make_smaller(exported()), schema)
    assert [entry["name"] for entry in bigger] == [entry["name"] for entry in smaller]
    assert {entry["unit"] for entry in bigger} == {"frames/s"}
    assert {entry["unit"] for entry in smaller} == {"ns/frame"}
    assert bigger[1]["value"] == 1_200_000
    assert f"cell c{cells()[1].id}" in bigger[1]["extra"]
    assert "ratio to the baseline 1.200" in bigger[1]["extra"]
    assert "range" in smaller[1]


def test_a_cell_that_failed_is_not_there() -> None:
    assert json.loads(bencher.make(failed())) == {}
    assert json.loads(github_action.make_bigger(failed())) == []
