"""``--machine``: a name that is its folder's."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.cli import main, options
from bench.store.folders import results_folder


@given(st.text(max_size=120))
@example("ünï")
@example("a" * 300)
@example("..")
def test_any_name_is_its_folder_s_or_refused(name: str) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    options.add_results(parser)
    try:
        machine = parser.parse_args([f"--machine={name}"]).machine
    except argparse.ArgumentError:
        assert results_folder(Path("r"), name, "m").parent.name != name
    else:
        assert results_folder(Path("r"), machine, "m") == Path("r") / name / "m"


def test_it_is_told_what_is_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["history", "m", "--machine", "a b"])
    assert "'a b' is not allowed; write at most 100 of" in capsys.readouterr().err
