"""How far a run is, where there is no terminal, and who leads."""

from __future__ import annotations

import io

import pytest

from bench.cli import options, progress
from bench.model.matrix import Rounds
from tests.builders import a_cell, a_sample

CELL = a_cell("a", interface={"kind": "veth"})
OTHER = a_cell("b", interface={"kind": "veth"})


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_line_every_half_minute_says_the_round_and_the_time_left() -> None:
    clock, said = Clock(), [""][:0]
    lines = progress.Lines(said.append, clock)
    lines.stage("checking cell 1 of 2")
    for number in range(1, 101):
        lines.rounds(2 * (101 - number), number, Rounds(100, 100))
        for _ in range(2):
            clock.now += 1.0
            lines.slice(CELL, a_sample("a"))
    assert said == [
        f"round {15 * n} of 100, {left} left"
        for n, left in enumerate(["3 min", "2 min", "2 min", "80 s", "50 s", "20 s"], 1)
    ]


def test_a_short_run_says_nothing_and_a_long_stage_is_named() -> None:
    clock, said = Clock(), [""][:0]
    lines = progress.Lines(said.append, clock)
    clock.now = 29.0
    lines.rounds(4, 1, Rounds(2, 9))
    assert not said
    clock.now = 31.0
    lines.stage("checking cell 7 of 900")
    clock.now = 62.0
    lines.rounds(4, 1, Rounds(2, 9))
    assert said == ["checking cell 7 of 900", "round 1 of 2 to 9"]


def test_the_leader_is_the_fastest_of_those_that_compete() -> None:
    leaders = progress.Leaders()
    assert leaders.leader(CELL, 1e6) == ""
    assert leaders.leader(a_cell("lone", interface={"kind": "lo"}), 9e6) == ""
    assert leaders.leader(OTHER, 2e6) == "b leads"
    assert leaders.leader(CELL, 4e6) == "a leads"
    assert leaders.leader(OTHER, None) == "a leads"
    assert leaders.leader(a_cell("null", interface={"kind": "veth"}), 9e9) == ""


def test_quiet_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    with progress.shown(stream, is_quiet=True) as quiet:
        quiet.stage("measuring")
        quiet.rounds(2, 1, Rounds(1, 1))
        quiet.slice(CELL, None)
    assert (stream.getvalue(), capsys.readouterr().err) == ("", "")
    with progress.shown(stream) as lines:
        assert isinstance(lines, progress.Lines)


@pytest.mark.parametrize(
    ("variables", "colour"),
    [
        ({}, True),
        ({"TERM": "dumb"}, False),
        ({"NO_COLOR": "1"}, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
    ],
)
def test_a_dumb_terminal_gets_no_colour(
    variables: dict[str, str], colour: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import argparse
    import sys

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for name in ("TERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert options._screen(argparse.Namespace(output=None)).colour == colour
