"""Reading YAML: every value with its place, and every trap of YAML 1.1 as a problem."""

from __future__ import annotations

import pytest
import yaml

from bench.matrix import yamltree
from bench.model.matrix import Mark


@pytest.fixture(params=["libyaml", "pure Python"], autouse=True)
def _loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "pure Python":
        monkeypatch.setattr(yamltree, "_Loader", yaml.SafeLoader)
    elif not yaml.__with_libyaml__:
        pytest.skip("PyYAML was built without libyaml")


def read(text: str) -> yamltree.Tree:
    return yamltree.read(text, lambda path: path[:-1] == ("lists",))


def problems(text: str) -> list[str]:
    return [f"{p.mark.line}:{p.mark.column}: {p.message}" for p in read(text).problems]


def test_values_and_places() -> None:
    tree = read(
        "a: 1\n"
        "b:\n"
        "  - -2.5\n"
        "  - {c: true, d: ~}\n"
        "'on': 'no'\n"
        "e: 0x10\n"
        "lists: {one: x, two: [w], three: {z: 1}}\n"
    )
    assert tree.problems == []
    assert tree.data == {
        "a": 1,
        "b": [-2.5, {"c": True, "d": None}],
        "on": "no",
        "e": 16,
        "lists": {"one": ["x"], "two": ["w"], "three": [{"z": 1}]},
    }
    assert tree.mark(("a",)) == Mark(1, 4)
    assert tree.mark(("b", 1, "d")) == Mark(4, 18)
    assert tree.mark(("b", 1, "x", "y")) == Mark(4, 5)  # the innermost that there is
    assert tree.mark(("lists", "three", 0, "z")) == Mark(7, 38)
    assert tree.keys["b", 1, "d"] == Mark(4, 15)
    assert tree.value(("b", 1, "c")) is True
    assert tree.value(("b", 7)) is None


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_nothing(text: str) -> None:
    tree = read(text)
    assert (tree.data, tree.problems) == (None, [])


BOOLEAN = "may be read as a boolean; write true or false, or quote it for text"
BASE_60 = "may be read as a number in base 60; quote it for text"
ZERO = "has a leading zero, which may mean octal; write"


@pytest.mark.parametrize(
    ("scalar", "trap"),
    [
        ("on", BOOLEAN),
        ("Off", BOOLEAN),
        ("YES", BOOLEAN),
        ("nO", BOOLEAN),
        ("y", BOOLEAN),
        ("N", BOOLEAN),
        ("017", f"{ZERO} 17, or 15 if octal is meant"),
        ("-0o17", f"{ZERO} -17, or -15 if octal is meant"),
        ("089", f"{ZERO} 89"),
        ("00", f"{ZERO} 0"),
        ("1_000", "may be read as text; write 1000"),
        ("0b11", "may be read as text; write 3"),
        ("0x_ff", "may be read as text; write 255"),
        ("1e6", "may be read as text; write 1000000"),
        ("1.5E3", "may be read as text; write 1500"),
        ("1e-2", "may be read as text; write 0.01"),
        ("1e999999999", "may be read as text; write it out"),
        ("1e99999999999999999999", "may be read as text; write it out"),
        ("12:30", BASE_60),
        ("1:30.5", BASE_60),
        ("00:11:22:33:44:55", BASE_60),
        ("2024-02-30", "may be read as a date; quote it for text"),
        ("2024-1-1T10:00:00Z", "may be read as a date; quote it for text"),
    ],
)
def test_scalars_that_mean_several_things(scalar: str, trap: str) -> None:
    tree = read(f"a: [1, {scalar}]")
    assert [p.message for p in tree.problems] == [f"{scalar} {trap}"]
    assert tree.problems[0].mark == Mark(1, 8)
    assert tree.data == {"a": [1, None]}
    assert tree.is_spoiled(("a", 1))
    assert not tree.is_spoiled(("a",))
    assert problems(f"a: [1, '{scalar}']") == []


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("0", 0),
        ("-17", -17),
        ("1.0e+6", 1e6),
        (".5", 0.5),
        ("1.2.3", "1.2.3"),
        ("10ms", "10ms"),
        ("1%", "1%"),
        ("yes sir", "yes sir"),
        ("_", "_"),
        ("0b_", "0b_"),
        ("1" * 61, "1" * 61),  # no number that anything here takes
    ],
)
def test_scalars_that_mean_one_thing(scalar: str, value: object) -> None:
    tree = read(f"a: {scalar}")
    assert (tree.data, tree.problems) == ({"a": value}, [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "a: 1\nb: 2\n'a': 3\n",
            ["3:1: duplicate key 'a', first on line 1; write each key once"],
        ),
        (
            "a: &x 1\nb: *x\n",
            [
                "1:4: the anchor &x; write the value out wherever it is needed",
                "2:4: the alias *x; write the value out",
            ],
        ),
        ("a: {<<: {b: 1}}", ["1:5: the merge key <<; write the keys out"]),
        ("a: !!int '1'", ["1:4: the tag '!!int'; write the plain value"]),
        (
            "a: !!python/object/apply:os.system [id]",
            ["1:4: the tag '!!python/object/apply:os.system'; write the plain value"],
        ),
        ("a: ! b", ["1:4: the tag '!'; write the plain value"]),
        ("1: a", ["1:1: the key 1 is not text; keys are names"]),
        ("~: a", ["1:1: the key ~ is not text; keys are names"]),
        ("017: a", ["1:1: the key 017 is not text; keys are names"]),
        (f"1e{'9' * 20}: a", [f"1:1: the key 1e{'9' * 20} is not text; keys are names"]),
        ("? \n: a", ["1:2: the key null is not text; keys are names"]),
        ("[1]: a", ["1:1: a key that is a list or a mapping; keys are names"]),
        ("a: 1\n---\nb: 1\n", ["2:1: a second document; a matrix file is a single one"]),
        ("a: 1\nb: \x07\n", [r"2:4: the character '\x07'; a matrix file is plain text"]),
        ("a: \ud800", [r"1:4: the character '\ud800'; a matrix file is plain text"]),
        ("[" * 100_000, ["1:22: nested too deeply; at most 20 levels are allowed"]),
        ("- " * 100_000, ["1:43: nested too deeply; at most 20 levels are allowed"]),
        ("{a: " * 100_000, ["1:85: nested too deeply; at most 20 levels are allowed"]),
        ("\n".join(["- 1"] * 20_000), ["20000:3: too many values; at most 20000 are allowed"]),
    ],
)
def test_what_is_refused(text: str, expected: list[str]) -> None:
    assert problems(text) == expected


@pytest.mark.parametrize(
    ("text", "place"), [("a: [1, 2\nb: 3\n", "2:2"), ("a: @x", "1:4"), ("a: b: c", "1:5")]
)
def test_syntax(text: str, place: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith(f"{place}: not YAML (")
    assert problem.endswith("); a matrix file is YAML")
    assert "\n" not in problem


def test_traps_before_a_syntax_error_are_told_too() -> None:
    assert [p.split(" (")[0] for p in problems("a: on\nb: @x")] == [
        f"1:4: on {BOOLEAN}",
        "2:4: not YAML",
    ]
