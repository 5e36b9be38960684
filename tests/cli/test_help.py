"""What ``--help`` of each verb ends with."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from bench.cli import COMMANDS, main, parser
from tests.running import ROOT

EXAMPLES = [example for command in COMMANDS.values() for example in command.EXAMPLES]


@pytest.mark.parametrize("verb", COMMANDS)
def test_help_ends_with_two_examples(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([verb, "--help"])
    *_, heading, first, second = capsys.readouterr().out.splitlines()
    assert heading == "examples:"
    assert (first, second) == tuple(f"  {example}" for example in COMMANDS[verb].EXAMPLES)
    assert first.startswith(f"  bench {verb}")
    assert second.startswith(f"  bench {verb}")


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_commands_with_files_that_are_there(
    example: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    program, *words = shlex.split(example.partition(" > ")[0])
    assert program == "bench"
    arguments = []
    for word in words:
        found = [*map(str, Path().glob(word))] if "*" in word else [word]
        assert found, word
        arguments += found
        if word.startswith("matrices/"):
            assert (ROOT / word).is_file(), word
    assert parser().parse_args(arguments).execute
