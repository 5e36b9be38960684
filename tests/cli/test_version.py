"""`bench --version` says what measures."""

from __future__ import annotations

import re
from importlib.metadata import version

import pytest

from bench.base.errors import BenchError
from bench.cli import main
from bench.engines import core


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_it_has_the_version_the_core_and_the_compiler(
    built_core: None, capsys: pytest.CaptureFixture[str]
) -> None:
    found = core.info()
    line = f"bench {version('bench')}, core {found.hash[:12]}, {found.compiler}\n"
    assert printed(capsys) == line
    assert re.search(r", core [0-9a-f]{12}, \S+ \d+", line)


def test_without_a_core_it_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none() -> core.CoreInfo:
        raise BenchError("cannot build the core: no C compiler")

    monkeypatch.setattr(core, "info", none)
    expected = f"bench {version('bench')}, no core: cannot build the core: no C compiler\n"
    assert printed(capsys) == expected
