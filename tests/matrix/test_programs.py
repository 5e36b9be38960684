"""Programs in a matrix file: what may be written, and what is said of the rest."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bench.base.errors import UsageError
from bench.base.values import brief_text, named, value_text
from bench.engines.programs import METHOD, check_allowed
from bench.matrix import load
from bench.model.cells import Cell
from bench.model.matrix import Matrix
from bench.model.programs import EXEC, PLACEHOLDERS, filled, identity_of, program_of
from bench.plan.plan import make_plan
from tests.vocabulary import WORDS

VOCABULARY = replace(WORDS, methods={**WORDS.methods, EXEC: METHOD})
MINE: dict[str, Any] = {"kind": "exec", "command": ["./mine", "{interface}"]}
CANONICAL = {**MINE, "name": "mine", "content": ""}


def parsed(*methods: Any, **more: Any) -> Matrix:
    text = json.dumps({"name": "m", "axes": {"method": [*methods]}, **more})
    return load.parse(text, "m.yaml", VOCABULARY)


def cells(*methods: Any, **more: Any) -> tuple[Cell, ...]:
    return make_plan(parsed(*methods, **more), VOCABULARY).cells


@pytest.mark.parametrize(
    "written",
    [
        MINE,
        MINE | {"command": "./mine {interface}"},
        MINE | {"command": "./mine '{interface}'", "name": "mine", "content": " "},
    ],
)
def test_a_command_is_words_or_a_text_of_words(written: dict[str, Any]) -> None:
    assert parsed(written).axes["method"] == (CANONICAL,)


def test_numbers_are_words_and_content_is_bytes() -> None:
    written = {"kind": "exec", "command": ["a", -1], "content": "02:{source} 88B5"}
    (value,) = parsed(written).axes["method"]
    program = program_of(value)
    assert (program.command, program.content) == (("a", "-1"), "02{source}88b5")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"command": ["a", "{interfce}"]}, "{interfce} is unknown; write interface, "),
        ({"command": ["a", {"interface": None}]}, 'quote a placeholder: "{interface}"'),
        ({"command": ["a", True]}, "true is no word; put it in quotes"),
        ({"command": []}, "write a list of words, a program and its arguments"),
        ({"command": ""}, "write a list of words, a program and its arguments"),
        ({"command": "a 'b"}, "no closing quotation"),
        ({"command": ["a\0b"]}, "a word is short, and without NUL"),
        ({"command": "x {frame-size}"}, "{frame-size} is unknown; write {frame_size}"),
        ({"command": ["x", "{ Interface }"]}, "{ Interface } is unknown; write {interface}"),
        ({"command": "awk {print}"}, "that are no placeholder have spaces: { print }"),
        ({"command": ["/"]}, "'' is no name for tables; write name: besides"),
        ({"name": "a b"}, "method name: 'a b' is not allowed"),
        ({"name": "sendto"}, "another method is called sendto"),
        ({"content": "0g"}, "write the bytes with which each frame begins"),
        ({"content": "{pcap}"}, "write the bytes with which each frame begins"),
        ({"content": "abc"}, "write the bytes with which each frame begins"),
        ({"kind": "exce"}, "'exce' is unknown; write exec (did you mean exec?)"),
        ({"comand": "a"}, "unknown key 'comand'"),
    ],
)
def test_what_is_wrong_is_said_with_what_is_allowed(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parsed(MINE | change)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("m.yaml:1:")
    assert message in line


@pytest.mark.parametrize("options", [{}, {"vnet_hdr": True}])
def test_a_method_has_its_options_as_axes(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        parsed({"kind": "tx_ring", **options})
    (line,) = str(caught.value).splitlines()
    assert "method: tx_ring is written without options; write tx_ring, and each" in line


def test_a_program_needs_a_command_and_exec_is_no_method_by_itself() -> None:
    with pytest.raises(UsageError, match="'command' is missing"):
        parsed({"kind": "exec"})
    with pytest.raises(UsageError, match=r"exec is a program of yours; write \{kind: exec, comma"):
        parsed("exec")


def test_two_programs_of_one_name_are_told() -> None:
    with pytest.raises(UsageError, match="another method is called mine; write a name: of its"):
        parsed(MINE, MINE | {"command": ["mine", "-x"]})


def test_rows_and_rules_name_a_program_as_tables_do() -> None:
    other = {"kind": "exec", "command": ["other"]}
    baseline = {"method": "mine"}
    made = cells("sendto", MINE, other, baseline=baseline, exclude=[{"method": "other"}])
    assert [cell.method for cell in made] == ["sendto", "mine"]
    matrix = parsed("sendto", MINE, baseline=baseline, exclude=[{"method": {"kind": "exec"}}])
    assert matrix.baseline == {"method": CANONICAL}
    with pytest.raises(UsageError, match="'theirs' is unknown"):
        parsed("sendto", MINE, baseline={"method": "theirs"})


def test_a_program_reads_few_axes() -> None:
    made = cells(MINE, "sendto", **{"include": [{"burst": 8}]})
    (mine, *_) = made
    read = {axis for axis, value in mine.values.items() if value is not None}
    assert read == {"interface", "method", "frame_size", "threads", "replica"}, "lo has no qdisc"
    assert (mine.method, mine.engine) == ("mine", EXEC)


def test_an_id_is_of_what_the_file_says() -> None:
    """So that an option of a later version renames no cell."""
    assert identity_of(CANONICAL) == MINE | {"name": "mine"}
    assert identity_of(CANONICAL | {"content": "00"}) == CANONICAL | {"content": "00"}
    assert identity_of("sendto") == "sendto"
    plain, told = (cells(MINE | {"content": content})[0].id for content in ("", "02"))
    assert plain != told


def test_a_program_is_shown_and_chosen_by_its_name() -> None:
    among = ["sendto", CANONICAL]
    assert value_text(CANONICAL) == brief_text(CANONICAL, among) == "mine"
    assert named("mine", among) == named("exec", among) == [CANONICAL]


@pytest.mark.parametrize(
    ("text", "filled_in"),
    [
        ("{interface}:{cpu}", "bench0:1"),
        ("{ {interface} }", "{ bench0 }"),
        ("${interface} {Interface} {1} {}", "${interface} {Interface} {1} {}"),
    ],
)
def test_placeholders_are_filled_and_other_braces_are_left(text: str, filled_in: str) -> None:
    assert filled([text], {"interface": "bench0", "cpu": "1"}) == [filled_in]


def test_every_placeholder_is_described_in_the_schema() -> None:
    schema = load.json_schema(VOCABULARY)
    description = schema["$defs"]["program"]["properties"]["command"]["description"]
    assert all(f"{{{name}}} " in description for name in PLACEHOLDERS)
    row = schema["$defs"]["Row"]["properties"]["method"]["anyOf"]
    assert {"$ref": "#/$defs/program"} in row
    assert {"type": "string"} in row, "the name of a program of the axis"
    assert {"type": "string"} not in schema["$defs"]["Axes"]["properties"]["method"]["anyOf"]


def test_programs_are_refused_unless_they_are_allowed() -> None:
    made = cells("sendto", MINE)
    check_allowed(made, allowed=True)
    check_allowed(cells("sendto"), allowed=False)
    with pytest.raises(UsageError) as caught:
        check_allowed(made, allowed=False)
    assert str(caught.value) == (
        "method mine: runs the command ./mine {interface}, which the matrix has; allow it with "
        "--allow-exec"
    )
