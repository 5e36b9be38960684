"""What a fresh machine is told to run, and what its answers mean. No machine is made."""

from __future__ import annotations

import pytest

from bench.base.errors import UsageError
from tools import fresh


def test_the_commands_are_those_of_the_readme() -> None:
    lines = fresh.commands((fresh.ROOT / "README.md").read_text())
    assert [line.partition("#")[0].split() for line in lines] == [
        ["make", "bench"],
        ["make", "test"],
    ]


def test_a_readme_without_commands_is_told_so() -> None:
    with pytest.raises(UsageError, match="Two commands"):
        fresh.commands("# bench\n\n```\nmake bench\n```\n\n## Two commands\n\nnone\n")


def test_what_set_up_names_is_installed() -> None:
    said = "cc\nsetup: missing: gcc git; install it as root (apt-get install gcc git)\nmake: ***\n"
    assert fresh.missing(said) == ["gcc", "git"]
    with pytest.raises(fresh.MachineError, match="named nothing"):
        fresh.missing("make: *** [Makefile:1: .venv/ready] Error 1\n")


def test_tests_are_counted_by_outcome() -> None:
    results = """<testsuites><testsuite tests="9" failures="1" errors="2" skipped="3"/>
    <testsuite tests="1" failures="0" errors="0" skipped="0"/></testsuites>"""
    assert fresh.counts(results) == {"passed": 4, "failed": 3, "skipped": 3}


def test_only_what_says_how_packages_are_fetched_is_passed_on() -> None:
    names = ["PIP_CERT", "https_proxy", "NO_PROXY", "SSL_CERT_FILE", "VIRTUAL_ENV", "PYTHONPATH"]
    assert [name for name in names if fresh.PASSED_ON.fullmatch(name)] == names[:4]
