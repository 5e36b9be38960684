"""Completion: what a shell is told, through bash itself where it is there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.cli import COMMANDS
from bench.cli.completion import SHELLS
from tests import run_files
from tests.running import Bench, complaints, inside

Complete = Callable[[str], set[str]]


@pytest.fixture
def complete(bench: Bench) -> Complete:
    """What there is for the last word of a line."""

    def ask(line: str) -> set[str]:
        answer = bench.folder / "answer"
        told = {
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_IFS": "\n",
            "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
            "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
        }
        outcome = bench(env=bench.environment | told)
        assert (outcome.out, outcome.err) == ("", "")
        return {word.strip() for word in answer.read_text().split("\n") if word}

    return ask


def test_verbs_formats_and_options(complete: Complete) -> None:
    assert {*COMMANDS} <= complete("bench ")
    assert complete("bench show --format ") == {"terminal", "markdown", "csv", "json"}
    assert {"go", "parquet", "bencher"} <= complete("bench export --format ")
    assert complete("bench history --si") == {"--since"}


def test_a_matrix_is_a_yaml_file(bench: Bench, complete: Complete) -> None:
    bench.matrix()
    (bench.folder / "x.json").touch()
    (bench.folder / "below").mkdir()
    assert {"m.yaml", "below/"} <= complete("bench run ")
    assert complete("bench nightly x") == set()


def test_a_run_is_a_run_file(bench: Bench, complete: Complete) -> None:
    for name in ("a.jsonl", "b.jsonl.gz", "c.md"):
        (bench.folder / name).touch()
    for verb in ("show", "compare", "export --format go"):
        words = complete(f"bench {verb} ")
        assert {"a.jsonl", "b.jsonl.gz"} <= words
        assert "c.md" not in words


def test_a_filter_has_the_axes_and_values_of_the_matrix(bench: Bench, complete: Complete) -> None:
    matrix = bench.matrix({"method": ["null", "syscall"], "frame_size": [64, 1514]})
    line = f"bench run {matrix.name} --filter "
    assert {"method=", "frame_size="} <= complete(line)
    assert complete(f"{line}frame") == {"frame_size="}
    assert {word.rpartition("=")[2] for word in complete(f"{line}method=")} == {"null", "syscall"}
    assert {word.rpartition(",")[2] for word in complete(f"{line}frame_size=64,")} == {"1514"}


def test_a_filter_has_the_values_of_the_run(bench: Bench, complete: Complete) -> None:
    run_files.write(bench.folder / "r.jsonl", 1)
    words = complete("bench show r.jsonl --filter method=")
    assert {word.rpartition("=")[2] for word in words} == {*run_files.CELLS}


@pytest.mark.parametrize("content", [None, "", "name: [\x00", "axes: {method: }"])
def test_what_cannot_be_read_leaves_the_axes(
    bench: Bench, complete: Complete, content: str | None
) -> None:
    if content is not None:
        (bench.folder / "bad.yaml").write_text(content)
    assert {"method=", "frame_size="} <= complete("bench run bad.yaml --filter ")
    assert complete("bench run bad.yaml --filter method=") == set()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_for_each_shell_is_one_that_it_takes(
    capsys: pytest.CaptureFixture[str], shell: str
) -> None:
    outcome = inside(capsys, "completion", shell)
    assert outcome.code == 0
    assert "bench" in outcome.out
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n"], input=outcome.out, text=True, capture_output=True)
        assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is missing")
def test_bash_completes_with_the_script(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.matrix()
    script = inside(capsys, "completion", "bash").out
    words = (
        "COMP_WORDS=(bench run m) COMP_CWORD=2 COMP_LINE='bench run m' COMP_POINT=11 COMP_TYPE=9"
    )
    done = subprocess.run(
        [
            "bash",
            "-c",
            f'{script}\n{words}\n_python_argcomplete bench\nprintf "%s\\n" "$COMPREPLY"',
        ],
        cwd=bench.folder,
        env=bench.environment | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        text=True,
        capture_output=True,
    )
    assert done.stdout.strip() == "m.yaml"


def test_without_argcomplete_one_line_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "argcomplete.shell_integration", None)
    (line,) = complaints(capsys, "completion", "bash", code=BenchError.exit_code)
    assert line == "bench completion needs argcomplete: pip install 'bench[completion]'"
